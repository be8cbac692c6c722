"""How many processes a run will have on this machine, before there is a trainer that knows."""

from __future__ import annotations

import os
from typing import Any


def processes_to_fit(settings: dict[str, Any]) -> int:
    """Return for how many processes of this machine this one must find memory.

    The first one here looks for all of them, before they begin; the others come when it has taken its share, and look
    for themselves.

    Args:
        settings: The `trainer` group.
    """
    if any(os.environ.get(name, "0") != "0" for name in ("LOCAL_RANK", "SLURM_LOCALID")):
        return 1
    started = os.environ.get("LOCAL_WORLD_SIZE", "")
    return (
        int(started) if started.isdigit() else max(1, _devices(settings["devices"], settings["accelerator"]))
    )


def ranks_of(settings: dict[str, Any]) -> int:
    """Return how many processes the `trainer` group asks for, on all its machines."""
    return max(1, _devices(settings["devices"], settings["accelerator"])) * int(settings["num_nodes"])


def _devices(asked: Any, accelerator: str) -> int:
    if isinstance(asked, list | tuple):
        return len(asked)
    text = str(asked)
    if "," in text:
        return len([part for part in text.split(",") if part.strip()])
    if text.isdigit():
        return int(text)
    if accelerator not in {"auto", "gpu", "cuda"}:
        return 1
    import torch

    return torch.cuda.device_count()
