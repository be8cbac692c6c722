"""What makes two runs the same run."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

# They say where a run happens and who watches, not what it computes.
_ELSEWHERE = ("hydra", "paths", "logger", "ckpt_path", "resume", "plan")
_ANY_FOLDER = "<run folder>"


def config_hash(config: DictConfig, folder: Path | None = None) -> str:
    """Return a hash of the resolved configuration, equal for runs that compute the same.

    Left out: folders, loggers, the cache. A checkpoint that was typed is part of it; a run's own last checkpoint, from
    which it goes on, is not.

    Args:
        config: The composed configuration.
        folder: The run's folder, where it has one already.

    Returns:
        Twelve hexadecimal digits of SHA-256.
    """
    config = copy.deepcopy(config)
    with open_dict(config):
        config.pop("hydra", None)
        config.data.pop("cache_gb", None)  # where decoded images are, not what they are
        config.paths.output_dir = _ANY_FOLDER
        data_dir = str(config.paths.data_dir)
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    kept: dict[str, Any] = {str(key): value for key, value in content.items() if key not in _ELSEWHERE}
    if checkpoint := typed_checkpoint(content.get("ckpt_path"), folder):
        kept["ckpt_path"] = str(Path(checkpoint).absolute())
    text = json.dumps(kept, sort_keys=True, default=str).replace(data_dir, "<data>")
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def typed_checkpoint(checkpoint: str | None, folder: Path | None) -> str | None:
    """Return the checkpoint that a run began with: what was typed, or before it went on from its own last one.

    Args:
        checkpoint: The setting `ckpt_path`.
        folder: The run's folder.
    """
    if not isinstance(checkpoint, str):  # none, or what the check of the settings will refuse
        return None
    if folder is None:
        return checkpoint
    if Path(checkpoint).absolute() != (folder / "checkpoints" / "last.ckpt").absolute():
        return checkpoint
    try:
        before = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["checkpoint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return before if isinstance(before, str) else None
