"""One process at a time in a run folder: two that write the same files would leave neither's results.

The lock is the kernel's (flock), which lets go however the process ends. Some network file systems have no such locks,
or none that another machine sees: for them the holder also writes who it is, and renews the file's time while it runs.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

_NAME = ".lock"
_BEAT_SECONDS = 15.0
_SILENT_SECONDS = (
    90.0  # without a renewal for so long the holder has ended; network file systems show times late
)
_PATIENCE_SECONDS = 1.0  # somebody who only looks whether the lock is held, holds it for a moment


class FolderLock:
    """Holds a folder until it is released or the process ends, however it ends.

    Args:
        folder: It exists.

    Raises:
        ValueError: Another process holds it.
        OSError: The file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o644)
        end = time.monotonic() + _PATIENCE_SECONDS
        while _held_by_other(self._descriptor, fcntl.LOCK_EX):
            if time.monotonic() > end:
                os.close(self._descriptor)
                raise ValueError(
                    f"another process is running in {folder}; wait for it, or type hydra.run.dir=another/folder"
                )
            time.sleep(0.05)
        with suppress(OSError):  # on a full disk the kernel's lock must do
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{_this_machine()} {os.getpid()}".encode(), 0)
        self._released = threading.Event()
        threading.Thread(target=self._beat, name="folder-lock", daemon=True).start()

    def release(self) -> None:
        """Let go of the folder. A second call does nothing."""
        if self._released.is_set():
            return
        self._released.set()
        with suppress(OSError):
            os.truncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._released.wait(_BEAT_SECONDS):
            with suppress(OSError):
                os.utime(self._path)


def is_locked(folder: Path) -> bool:
    """Return whether a process is running in the folder; it may be on another machine."""
    try:
        descriptor = os.open(folder / _NAME, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return _held_by_other(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)  # which lets go, too


def _held_by_other(descriptor: int, how: int) -> bool:
    """Try to lock the open file; return whether another process holds it."""
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        return False
    has_locks = True
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return True
        has_locks = False  # not on this file system
    machine, _, process = os.pread(descriptor, 200, 0).decode(errors="replace").partition(" ")
    if not machine or (machine == _this_machine() and (has_locks or not _is_alive(process))):
        return False
    return abs(time.time() - about.st_mtime) < _SILENT_SECONDS


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _this_machine() -> str:
    """Return a name that no other machine has, nor this one after it was started again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()
