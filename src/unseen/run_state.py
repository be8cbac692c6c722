"""The lock of the process that runs in a folder, and the state of the run in it.

summary.json of a killed run has the status "running" for ever. So a run holds a lock on its folder, which the kernel
(flock) releases however the process ends.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unseen.regular_files import MEBIBYTE, read_text

if TYPE_CHECKING:
    from filelock import BaseFileLock

State = Literal["finished", "failed", "running", "died", "missing"]
_LOCK = ".lock"
_HOLDER = ".holder"  # names the process that runs, on a file system without flock
_PATIENCE_SECONDS = 1.0  # `is_locked` holds the lock for a moment, too
_LARGEST = 16 * MEBIBYTE  # a summary has a few thousand bytes


def lock_folder(folder: Path) -> BaseFileLock:
    """Return a lock on `folder`, held until it is released or this process ends; forked children do not hold it.

    Raises:
        ValueError: Another process holds it.
        OSError: The file of the lock cannot be made.
    """
    from filelock import FileLock, SoftFileLock, Timeout

    settings: dict[str, Any] = {"timeout": _PATIENCE_SECONDS, "thread_local": False}
    lock: BaseFileLock = FileLock(folder / _LOCK, **settings)
    try:
        try:
            lock.acquire()
        except OSError as error:
            if error.errno not in {errno.ENOLCK, errno.EOPNOTSUPP}:
                raise
            lock = SoftFileLock(folder / _HOLDER, **settings)
            lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"another process is running in {folder}; wait for it, or type hydra.run.dir=another/folder"
        ) from error
    return lock


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the folder; False on a file system without flock."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in {errno.EWOULDBLOCK, errno.EACCES}
    finally:
        os.close(descriptor)  # releases the lock, too
    return False


@dataclass(frozen=True)
class RunState:
    """A run as its folder shows it.

    Attributes:
        status: finished; failed (as its process or its sweep has written); running (a process holds the folder); died
            (it was running, and no process is: killed, out of memory, a power cut); missing (there is no run).
        reason: Why it failed or died; None otherwise.
        summary: What summary.json holds; empty if it cannot be read.
    """

    status: State
    reason: str | None
    summary: dict[str, Any]


def state_of(folder: Path) -> RunState:
    """Return how the run in `folder` stands. Nothing in the folder is changed, and no content of it is an error."""
    locked = is_locked(folder)
    summary = read_summary(
        folder
    )  # after the lock was looked at: a run writes how it ended, then it releases it
    if not locked and summary.get("status") == "running":  # it may have begun, and even ended, in between
        locked = is_locked(folder)
        summary = read_summary(folder)
    written = summary.get("status")
    if locked:
        return RunState("running", None, summary)
    if written == "finished":
        return RunState("finished", None, summary)
    if written == "failed":
        return RunState("failed", str(summary.get("reason") or "no reason was written"), summary)
    if written == "running":
        when = f"; it last wrote at {summary['written']}" if isinstance(summary.get("written"), str) else ""
        reason = f"its process ended without a reason (killed, out of memory, or a power cut){when}"
        return RunState("died", reason, summary)
    return RunState("missing", None, summary)


def read_summary(folder: Path) -> dict[str, Any]:
    """Return summary.json of a run folder; empty if it is missing, broken, not a regular file, or not a dictionary."""
    try:
        content = json.loads(read_text(folder / "summary.json", _LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
