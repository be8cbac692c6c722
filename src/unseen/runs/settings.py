"""All that can be said of a configuration before torch is loaded: types, ranges, unknown keys, a missing checkpoint."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from unseen.runs.read_keys import ReadKeys
from unseen.runs.schema import check_types, unread_sentence
from unseen.runs.signatures import check_trainer_keys

_TYPED_OVER = "epochs"  # of all sizes; model.scheduler.epochs reads it unless something else was typed there


def check_settings(plain: dict[str, Any], read: ReadKeys) -> None:
    """Check a resolved configuration.

    Args:
        plain: Plain containers.
        read: What its interpolations read.

    Raises:
        ValueError: One sentence.
    """
    checkpoint_path(plain.get("ckpt_path"))
    if isinstance(plain.get("trainer"), dict):
        check_trainer_keys(plain["trainer"])
    check_types(plain, read)
    pooling = (plain["callbacks"].get("layer_probe") or {}).get("pooling", plain["model"]["pooling"])
    if pooling != plain["model"]["pooling"]:
        raise ValueError(f"callbacks.layer_probe.pooling={pooling} is not what counts; set model.pooling")
    sizes = plain["model"].get("sizes") or {}
    typed_over = {_TYPED_OVER} if all(_TYPED_OVER in settings for settings in sizes.values()) else set()
    for size, settings in sizes.items():
        for key in settings:
            place = ("model", "sizes", size, key)
            if key not in plain["model"]["backbone"] and key not in typed_over and place not in read:
                raise ValueError(unread_sentence(plain, list(place)))


def check_job(config: DictConfig) -> dict[str, Any]:
    """Check a composed job of a sweep before any job of it starts; return its settings, resolved.

    Raises:
        ValueError: One sentence.
        OmegaConfBaseException: A value that cannot be resolved.
    """
    config = copy.deepcopy(config)
    with open_dict(config):
        hydra = config.pop("hydra", None)
        config.paths.output_dir = "<run folder>"  # Hydra knows it when the job runs
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    hydra = OmegaConf.to_container(hydra, resolve=False) if hydra is not None else {}
    read = ReadKeys.of(OmegaConf.to_container(config, resolve=False), {"hydra": hydra})
    check_settings(plain, read)
    checkpoint = checkpoint_path(plain["ckpt_path"])
    if checkpoint is not None and not checkpoint.is_file():
        raise ValueError(f"ckpt_path={checkpoint} is not a file")
    return plain


def checkpoint_path(typed: Any) -> Path | None:
    """Return the checkpoint that was typed, None for none.

    Raises:
        ValueError: Something else than a path: an empty text is an unset variable, not a wish to do without.
    """
    if typed is None:
        return None
    if not isinstance(typed, str) or not typed.strip() or "\0" in typed:
        raise ValueError(f"ckpt_path={typed!r} is not a path; leave ckpt_path out for none")
    return Path(typed).expanduser()
