"""What makes two runs the same run."""

from __future__ import annotations

import copy
import hashlib
import json

from omegaconf import DictConfig, OmegaConf, open_dict

# They say where a run happens and who watches, not what it computes.
_ELSEWHERE = ("hydra", "paths", "logger", "ckpt_path", "resume", "plan")
_ANY_FOLDER = "<run folder>"


def config_hash(config: DictConfig) -> str:
    """Return a hash of the resolved configuration, equal for runs that compute the same.

    Left out: folders, loggers, the checkpoint to resume from, the cache. Twelve hexadecimal digits of SHA-256.
    """
    config = copy.deepcopy(config)
    with open_dict(config):
        config.pop("hydra", None)
        config.data.pop("cache_gb", None)  # where decoded images are, not what they are
        config.paths.output_dir = _ANY_FOLDER
        data_dir = str(config.paths.data_dir)
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    kept = {key: value for key, value in content.items() if key not in _ELSEWHERE}
    text = json.dumps(kept, sort_keys=True, default=str).replace(data_dir, "<data>")
    return hashlib.sha256(text.encode()).hexdigest()[:12]
