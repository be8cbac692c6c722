"""A folder belongs to one process."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from unseen import folder_lock
from unseen.folder_lock import FolderLock, is_locked

HOLDER = """
import sys, time
from pathlib import Path
from unseen.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the folder already."""
    source = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    started = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | source,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "held\n"
    return started


def test_a_second_process_is_refused_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    process = holder(tmp_path)
    assert is_locked(tmp_path)
    with pytest.raises(ValueError, match="another process is running in"):
        FolderLock(tmp_path)
    process.kill()
    process.wait()
    assert not is_locked(tmp_path)
    lock = FolderLock(tmp_path)
    assert is_locked(tmp_path)
    lock.release()
    lock.release()
    assert not is_locked(tmp_path)


def test_who_looks_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    """Looking takes the lock for a moment; a run that begins in that moment must not be refused."""
    (tmp_path / ".lock").touch()
    looking = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.2, os.close, [looking]).start()
    FolderLock(tmp_path).release()


def test_a_holder_on_another_machine_counts_while_it_renews_the_file(tmp_path: Path) -> None:
    """Its flock may not be seen from here: a fresh file says that it runs, an old one that it has ended."""
    (tmp_path / ".lock").write_text("another machine")
    assert is_locked(tmp_path)
    with pytest.raises(ValueError, match="another process"):
        FolderLock(tmp_path)
    old = time.time() - 1000
    os.utime(tmp_path / ".lock", (old, old))
    assert not is_locked(tmp_path)
    FolderLock(tmp_path).release()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr(folder_lock, "_BEAT_SECONDS", 0.05)
    lock = FolderLock(tmp_path)
    old = time.time() - 1000
    os.utime(tmp_path / ".lock", (old, old))
    end = time.monotonic() + 10
    while not is_locked(tmp_path) and time.monotonic() < end:
        time.sleep(0.02)
    assert is_locked(tmp_path)  # renewed
    with pytest.raises(ValueError, match="another process"):
        FolderLock(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)


def test_a_pipe_named_like_the_lock_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    assert not is_locked(tmp_path)


def test_a_full_disk_does_not_keep_the_folder_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    lock = FolderLock(tmp_path)
    assert is_locked(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)
