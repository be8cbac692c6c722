"""How a run stands, seen from outside: what its folder says, and whether its process is still there.

summary.json of a run that was killed says "running" for ever, so that word alone is no answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unseen.folder_lock import is_locked
from unseen.regular_files import MEBIBYTE, read_text

State = Literal["finished", "failed", "running", "died", "missing"]
_LARGEST = 16 * MEBIBYTE  # a summary has a few thousand bytes


@dataclass(frozen=True)
class RunState:
    """A run as its folder shows it.

    Attributes:
        status: finished; failed (it said so itself, or a sweep did); running (a process holds the folder); died (it
            was running, and no process is: killed, out of memory, a power cut); missing (there is no run).
        reason: Why it failed or died; None otherwise.
        summary: What summary.json holds; empty if it cannot be read.
    """

    status: State
    reason: str | None
    summary: dict[str, Any]


def state_of(folder: Path) -> RunState:
    """Return how the run in `folder` stands. Nothing in the folder is changed, and no content of it is an error."""
    locked = is_locked(folder)
    summary = read_summary(folder)  # after the look at the lock: a run writes how it ended before it lets go
    if not locked and summary.get("status") == "running":  # it may have begun, and even ended, in between
        locked = is_locked(folder)
        summary = read_summary(folder)
    if locked:
        return RunState("running", None, summary)
    said = summary.get("status")
    if said == "finished":
        return RunState("finished", None, summary)
    if said == "failed":
        return RunState("failed", str(summary.get("reason") or "no reason was written"), summary)
    if said == "running":
        when = f"; it last wrote at {summary['written']}" if isinstance(summary.get("written"), str) else ""
        return RunState(
            "died",
            f"its process ended without a word (killed, out of memory, or a power cut){when}",
            summary,
        )
    return RunState("missing", None, summary)


def read_summary(folder: Path) -> dict[str, Any]:
    """Return summary.json of a run folder; empty if it is missing, broken, not a regular file, or not a dictionary."""
    try:
        content = json.loads(read_text(folder / "summary.json", _LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
