"""What the command line chose, and with which libraries it runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from unseen import __version__

_LIBRARIES = ("torch", "torchvision", "lightning", "timm", "transformers", "scikit-learn", "numpy")
_ENTRIES = ("train", "eval")
_GLOBAL = re.compile(r"^#\s*@package\s+_global_\s*$", re.MULTILINE)


def choices() -> dict[str, Any]:
    """Return which file of each group was chosen: model=vit, data=digits, ..."""
    chosen = HydraConfig.get().runtime.choices
    return {str(group): name for group, name in chosen.items() if not str(group).startswith("hydra/")}


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
        typed |= set(_leaves(content, ""))
    return typed


def _global_file(folders: Sequence[Path], group: str, option: str) -> dict[str, Any]:
    """Return what a file of a group sets all over the configuration; nothing where it sets its own group only."""
    for folder in folders:
        path = folder / group / f"{option.removesuffix('.yaml')}.yaml"
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            if group and not _GLOBAL.search(text):
                return {}
            content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
            return content if isinstance(content, dict) else {}  # type: ignore[return-value]
    return {}


def _leaves(node: Any, place: str) -> Iterator[str]:
    if not isinstance(node, dict):
        yield place
        return
    for key, value in node.items():
        yield from _leaves(value, f"{place}.{key}" if place else str(key))


def library_versions() -> dict[str, str]:
    """Return the versions that decide what a run computes, ours and Python's among them."""
    return {"unseen": __version__, "python": sys.version.split()[0]} | {
        name: metadata.version(name) for name in _LIBRARIES
    }
