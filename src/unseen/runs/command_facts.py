"""What the command line chose, and with which libraries it runs."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Any

from hydra.core.hydra_config import HydraConfig

from unseen import __version__

_LIBRARIES = ("torch", "torchvision", "lightning", "timm", "transformers", "scikit-learn", "numpy")


def choices() -> dict[str, Any]:
    """Return which file of each group was chosen: model=vit, data=digits, ..."""
    chosen = HydraConfig.get().runtime.choices
    return {str(group): name for group, name in chosen.items() if not str(group).startswith("hydra/")}


def typed_settings() -> set[str]:
    """Return the names of the settings that were typed."""
    return {override.split("=", 1)[0].lstrip("+~") for override in HydraConfig.get().overrides.task}


def library_versions() -> dict[str, str]:
    """Return the versions that decide what a run computes, ours and Python's among them."""
    return {"unseen": __version__, "python": sys.version.split()[0]} | {
        name: metadata.version(name) for name in _LIBRARIES
    }
