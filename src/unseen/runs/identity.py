"""What makes two runs the same run: their settings, as `unseen.settings` weighs them, and the files of their images."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from unseen.run_state import read_summary
from unseen.settings import IMAGE_ROOTS, effect_of

_COUNTS = {"result", "rows"}  # else a sweep that goes on would not add the rows
# Their root is where a download goes; what is in it, the name of the data set says.
_DOWNLOADS = ("unseen.data.sources.cifar100.Cifar100", "unseen.data.sources.torchvision_sets.TorchvisionSet")


def config_hash(config: DictConfig, folder: Path | None = None) -> str:
    """Return a hash of the resolved configuration, equal for runs that compute the same.

    A checkpoint that was typed is part of it; a run's own last checkpoint, from which it goes on, is not.

    Args:
        config: The composed configuration.
        folder: The run's folder, where it has one already.

    Returns:
        Twelve hexadecimal digits of SHA-256.
    """
    config = copy.deepcopy(config)
    with open_dict(config):
        config.pop("hydra", None)
        config.paths.output_dir = "<run folder>"
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    kept: dict[str, Any] = {key: value for key, value in _leaves(plain) if effect_of(key) in _COUNTS}
    checkpoint = typed_checkpoint(plain.get("ckpt_path"), folder)
    kept["ckpt_path"] = checkpoint and str(Path(checkpoint).absolute())
    return _digest(kept | {"images": images_hash(plain)})


def images_hash(plain: dict[str, Any]) -> str | None:
    """Return a hash of the names and sizes of the files below `data.root`; None where no folder or archive was typed.

    Args:
        plain: A resolved configuration.
    """
    data = plain.get("data") or {}
    source = data.get("source") or {}
    if not isinstance(source, dict) or source.get("_target_") in _DOWNLOADS:
        return None
    roots = {name: node[name] for node in (data, source) for name in IMAGE_ROOTS if node.get(name)}
    found = {name: _files_below(str(Path(str(root)).expanduser().absolute())) for name, root in roots.items()}
    return _digest(found) if found else None


def typed_checkpoint(checkpoint: str | None, folder: Path | None) -> str | None:
    """Return the checkpoint that a run began with: what was typed, or before it went on from its own last one.

    Args:
        checkpoint: The setting `ckpt_path`.
        folder: The run's folder.
    """
    if not isinstance(checkpoint, str):  # none, or what the check of the settings will refuse
        return None
    if folder is None or Path(checkpoint).absolute() != (folder / "checkpoints" / "last.ckpt").absolute():
        return checkpoint
    before = read_summary(folder).get("checkpoint")
    return before if isinstance(before, str) else None


@functools.cache
def _files_below(root: str) -> str:
    """Return a hash of the names and sizes in a folder or zip archive; the path itself where neither is there."""
    try:
        if os.path.isdir(root):  # noqa: PTH112
            return _digest(sorted(_sizes(root)))
        with zipfile.ZipFile(root) as archive:
            return _digest(sorted((entry.filename, entry.CRC) for entry in archive.infolist()))
    except (OSError, ValueError, zipfile.BadZipFile):
        return root


def _sizes(root: str) -> Iterator[tuple[str, int]]:
    """Yield names and sizes of the visible files; a folder that links lead to twice counts once."""
    seen = {os.path.realpath(root)}
    for folder, folders, names in os.walk(root, followlinks=True):
        below = {os.path.realpath(f"{folder}/{name}"): name for name in sorted(folders, reverse=True)}
        folders[:] = sorted(name for real, name in below.items() if name[0] != "." and real not in seen)
        seen |= below.keys()
        for path in (f"{folder}/{name}" for name in names if name[0] != "."):
            with suppress(OSError):  # a link to nowhere
                yield os.path.relpath(path, root), os.stat(path).st_size  # noqa: PTH116  (of 100,000 files)


def _leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{place}.{key}" if place else str(key))
    else:
        yield place, node


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
