"""Free memory, and whether decoded images fit into it."""

from __future__ import annotations

import math
from pathlib import Path

from unseen.data.canvases import Frame
from unseen.threads import control_groups

_MEMINFO, _GROUPS_OF_PROCESS = Path("/proc/meminfo"), Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


class DoesNotFitError(ValueError):
    """Decoded images need more memory than is free."""


def check_memory(images: int, frame: Frame, remedy: str = "", *, processes: int = 1) -> None:
    """Refuse a data set that the machine cannot hold, before decoding begins.

    Args:
        images: How many.
        frame: The size of the canvases.
        remedy: What else would help, as the end of a sentence.
        processes: How many processes of this machine will hold canvases of their own.

    Raises:
        DoesNotFitError: The canvases need more memory than is free.
    """
    needed, free = images * frame.bytes, free_memory()
    if needed * processes > free:
        each = f" in each of {processes} processes" if processes > 1 else ""
        raise DoesNotFitError(
            f"{images:,} images at image_size={frame.size} need {needed / 2**30:.1f} GB of memory{each} and "
            f"{free / 2**30:.1f} GB are free; lower data.image_size, data.train_size, data.test_size or "
            f"data.unseen_per_class{remedy}"
        )


def free_memory() -> float:
    """Return the bytes that can be allocated without swapping; infinite where that is unknown.

    A job of a cluster or a container has a limit of its own, which the machine's free memory does not show.
    """
    return min(
        _free_on_machine(),
        *(_free_in_group(folder) for folder in control_groups("memory", _GROUPS_OF_PROCESS, _GROUPS)),
        math.inf,
    )


def _free_on_machine() -> float:
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text("ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024.0
    except (OSError, KeyError, ValueError):
        return math.inf


def _free_in_group(folder: Path) -> float:
    """Return what a control group may still take; what is kept of files could be given back."""
    for limit, used, given_back in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            allowed = int((folder / limit).read_text())
            taken = int((folder / used).read_text())
            facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # not this version, no such folder in a container, or no limit ("max")
            continue
        return max(0.0, allowed - taken + int(facts.get(given_back, 0)))
    return math.inf
