"""What a run is: the settings that were typed, the files that were chosen, its libraries, and its hash."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from unseen import __version__
from unseen.regular_files import MEBIBYTE, read_text
from unseen.run_state import read_summary
from unseen.runs.project import IN_CLONE, PROJECT_ROOT
from unseen.runs.typed_line import key_of
from unseen.settings import ADDED, IMAGE_ROOTS, effect_of, flatten

_LIBRARIES = ("torch", "torchvision", "lightning", "timm", "transformers", "scikit-learn", "numpy")
_ENTRIES = ("train", "eval", "biases", "transfer")
_GLOBAL = re.compile(r"^#\s*@package\s+_global_\s*$", re.MULTILINE)
_LONGEST_LABEL, _LONGEST_PLACE = 90, 24  # W&B takes names of 128
_NAMED_APART = {"model", "model.name", "data", "data.name", "seed", "ckpt_path"}
_OF_BIASES = {"limit", "images", "faithful"}  # settings that are in no group
_COUNTS = {"result", "rows"}  # without "rows", a sweep with resume=true would not add them
# Their root is a folder for downloads, whose content follows from the name of the data set.
_DOWNLOADS = ("unseen.data.sources.cifar100.Cifar100", "unseen.data.sources.torchvision_sets.TorchvisionSet")


def choices() -> dict[str, Any]:
    """Return which file of each group was chosen: model=vit, data=digits, ..."""
    chosen = HydraConfig.get().runtime.choices
    return {str(group): name for group, name in chosen.items() if not str(group).startswith("hydra/")}


def run_label(model: str, data: str) -> str:
    """Return the name of a run in a logger, without its seed: network, data, and what was typed that changes numbers.

    A setting is named by its last part, a group by the file that was chosen: resnet-digits-sgd-lr=0.1. A long name is
    cut, and ends in a hash of all.
    """
    parts = [model, data]
    for typed in HydraConfig.get().overrides.task if HydraConfig.initialized() else ():
        key, value = key_of(typed), typed.partition("=")[2]
        if value.startswith(("/", "~")):  # a place of this machine
            value = "/".join(value.split("/")[-2:])
        is_setting = "." in key or key in _OF_BIASES
        part = f"{key.rpartition('.')[2]}={value}" if is_setting else value.strip("[]")
        if key not in _NAMED_APART and effect_of(key) in {"result", "default"} and part not in parts:
            parts.append(part)
    label = "-".join(parts)
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 9]}_{_digest(label)[:8]}"


def scored_run(checkpoint: str | None) -> str:
    """Return what is added to the name of a run that scores a checkpoint, else two of one line share a name.

    That is the checkpoint's run folder, cut where it is long; empty for runs that train, which go on under their name.
    """
    if checkpoint is None or HydraConfig.get().job.name not in ("eval", "biases"):
        return ""
    path = Path(checkpoint).expanduser().absolute()
    folder = (path if path.is_dir() else path.parent.parent).name
    if len(folder) > _LONGEST_PLACE:
        folder = f"{folder[: _LONGEST_PLACE - 9]}_{_digest(folder)[:8]}"
    return f"@{folder}"


def typed_settings() -> set[str]:
    """Return the names of the settings and groups that were typed: on the command line, or in a file chosen there.

    Such files are an experiment, `debug=tiny`, or a configuration of the user's own (`--config-name`).
    """
    hydra = HydraConfig.get()
    folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    typed: set[str] = set()
    chosen: list[tuple[str, str]] = []
    if hydra.job.config_name not in _ENTRIES:
        chosen.append(("", str(hydra.job.config_name)))
    for override in hydra.overrides.task:
        name, _, value = override.partition("=")
        name = name.lstrip("+~")
        typed.add(name)
        chosen += [(name, option.strip("\"' ")) for option in value.strip("[]").split(",")]
    while chosen:
        group, option = chosen.pop()
        content = _global_file(folders, group, option)
        for item in content.pop("defaults", []):
            if isinstance(item, str):
                chosen.append((group, item))
            else:
                for key, inner in item.items():
                    name = str(key).removeprefix("override").strip().lstrip("/")
                    typed.add(name)
                    chosen.append((name, str(inner)))
        typed |= flatten(content).keys()
    return typed


def set_by(name: str) -> str | None:
    """Return the choice whose file sets a setting, such as debug=tiny; None where no chosen file does, or it was typed.

    Args:
        name: Dotted.
    """
    hydra = HydraConfig.get()
    folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    typed = [override.lstrip("+~").partition("=") for override in hydra.overrides.task]
    if any(key == name for key, _, _ in typed):
        return None
    for group, _, value in reversed(typed):
        option = value.strip("\"' ")
        if name in flatten(_global_file(folders, group, option)):
            return f"{group}={option}"
    return None


def _global_file(folders: Sequence[Path], group: str, option: str) -> dict[str, Any]:
    """Return the content of a file of a group, if it may set any part of the configuration (@package _global_)."""
    for folder in folders:
        path = folder / group / f"{option.removesuffix('.yaml')}.yaml"
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            if group and not _GLOBAL.search(text):
                return {}
            content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
            return content if isinstance(content, dict) else {}  # type: ignore[return-value]
    return {}


def library_versions() -> dict[str, str]:
    """Return the versions that results depend on, Python's and this package's included."""
    return {"unseen": __version__, "python": sys.version.split()[0]} | {
        name: metadata.version(name) for name in _LIBRARIES
    }


@functools.cache
def git_state() -> dict[str, Any]:
    """Return the commit of the clone and whether a file of it was changed since; nothing outside a clone."""
    if not IN_CLONE or not (PROJECT_ROOT / ".git").exists():
        return {}
    command = ["git", "--no-optional-locks", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(
            command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no git, no commit, a clone of another user
        return {}
    commit, _, dirty = done.stdout.strip().partition("-")
    return {"commit": commit, "dirty": bool(dirty)}


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
    kept: dict[str, Any] = {
        key: value
        for key, value in flatten(plain).items()
        if effect_of(key) in _COUNTS and not (key in ADDED and value == ADDED[key])
    }
    checkpoint = typed_checkpoint(plain.get("ckpt_path"), folder)
    kept["ckpt_path"] = checkpoint and str(Path(checkpoint).absolute())
    return _digest(kept | {"images": images_hash(plain)})


def images_hash(plain: dict[str, Any]) -> str | None:
    """Return a hash of the names and sizes of the files below `data.root`, and of a file of embeddings; None for none.

    Args:
        plain: A resolved configuration.
    """
    data = plain.get("data") or {}
    source = data.get("source") or {}
    roots = {}
    if isinstance(source, dict) and source.get("_target_") not in _DOWNLOADS:
        roots = {name: node[name] for node in (data, source) for name in IMAGE_ROOTS if node.get(name)}
    if embeddings := (plain.get("encoder") or {}).get("path"):
        roots["embeddings"] = embeddings
    found = {name: _files_below(str(Path(str(root)).expanduser().absolute())) for name, root in roots.items()}
    return _digest(found) if found else None


def typed_checkpoint(checkpoint: str | None, folder: Path | None) -> str | None:
    """Return the checkpoint that a run in `folder` began with.

    That is the one that was typed (`ckpt_path`); where it is the run's own last one, the one typed before.
    """
    if not isinstance(checkpoint, str):  # none, or a value that the check of the settings refuses
        return None
    if folder is None or Path(checkpoint).absolute() != (folder / "checkpoints" / "last.ckpt").absolute():
        return checkpoint
    before = read_summary(folder).get("checkpoint")
    return before if isinstance(before, str) else None


_MOST_SIZES = 100_000


@functools.cache
def _files_below(root: str) -> str:
    """Return a hash of the names and sizes in a folder or zip archive; the path itself where neither is there.

    Of very many files the names count alone: to ask for the size of a million takes minutes on a network.
    """
    try:
        if os.path.isdir(root):  # noqa: PTH112
            paths = sorted(_paths(root))
            if len(paths) > _MOST_SIZES:
                return _digest([path[len(root) :] for path in paths])
            return _digest([(path[len(root) :], _size(path)) for path in paths])
        if root.endswith(".csv") and os.path.isfile(root):  # noqa: PTH113
            return _digest(read_text(Path(root), 512 * MEBIBYTE))
        if os.path.isfile(root):  # noqa: PTH113  (a pipe would be waited for)
            with zipfile.ZipFile(root) as archive:
                return _digest(sorted((entry.filename, entry.CRC) for entry in archive.infolist()))
    except (OSError, ValueError, zipfile.BadZipFile):
        pass
    return root


def _paths(root: str) -> Iterator[str]:
    """Yield the visible files; a folder that is linked twice counts once."""
    seen = {os.path.realpath(root), "/proc", "/sys"}
    for folder, folders, names in os.walk(root, followlinks=True):
        below = {os.path.realpath(f"{folder}/{name}"): name for name in sorted(folders, reverse=True)}
        folders[:] = sorted(name for real, name in below.items() if name[0] != "." and real not in seen)
        seen |= below.keys()
        yield from (f"{folder}/{name}" for name in names if name[0] != ".")


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116  (of 100,000 files)
    except OSError:  # a link to nowhere
        return None


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
