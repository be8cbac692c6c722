"""One process at a time in a run folder: two that write the same files would leave neither's results."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_NAME = ".lock"


class FolderLock:
    """Holds a folder until the process ends, however it ends.

    Raises:
        ValueError: Another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o644)
        if not _take(self._descriptor):
            os.close(self._descriptor)
            raise ValueError(
                f"another process is running in {folder}; wait for it, or type hydra.run.dir=another/folder"
            )


def is_locked(folder: Path) -> bool:
    """Return whether a process is running in the folder."""
    try:
        descriptor = os.open(folder / _NAME, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _take(descriptor)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: go on as if there were none
        return True
    return True
