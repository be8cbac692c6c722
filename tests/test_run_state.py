"""A folder belongs to one process, and says how its run stands."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from unseen.run_state import RunState, is_locked, lock_folder, read_summary, state_of

HOLDER = """
import os, sys, time
from pathlib import Path
from unseen.run_state import lock_folder
lock = lock_folder(Path(sys.argv[1]))
child = os.fork() if sys.argv[2:] else None
if child != 0:
    print("held", child, flush=True)
time.sleep(60)
"""


def holder(folder: Path, *more: str) -> subprocess.Popen[str]:
    """A process that holds the folder already."""
    source = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *more],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | source,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_process_is_refused_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    process = holder(tmp_path)
    assert said(process) == "held None"
    assert is_locked(tmp_path)
    with pytest.raises(ValueError, match="another process is running in"):
        lock_folder(tmp_path)
    process.kill()
    process.wait()
    assert not is_locked(tmp_path)
    lock = lock_folder(tmp_path)
    assert is_locked(tmp_path)
    lock.release()
    lock.release()
    assert not is_locked(tmp_path)


def test_a_child_that_outlives_a_killed_run_does_not_hold_its_folder(tmp_path: Path) -> None:
    """Such as a worker of a data loader, which is forked."""
    process = holder(tmp_path, "fork")
    child = int(said(process).removeprefix("held "))
    assert is_locked(tmp_path)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10  # the child closes the file in its first moments
    while is_locked(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_locked(tmp_path)
    os.kill(child, 0)  # it lives
    os.kill(child, signal.SIGKILL)


def test_who_looks_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    """Looking takes the lock for a moment; a run that begins in that moment must not be refused."""
    (tmp_path / ".lock").touch()
    looking = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.2, os.close, [looking]).start()
    lock_folder(tmp_path).release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.filterwarnings("ignore:flock not supported")
def test_a_file_system_without_locks(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(number, "No locks here")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    lock = lock_folder(tmp_path)
    with pytest.raises(ValueError, match="another process"):
        lock_folder(tmp_path)
    assert not is_locked(tmp_path)  # nothing to see there
    lock.release()
    lock_folder(tmp_path).release()


def test_a_pipe_named_like_the_lock_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    assert not is_locked(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=str(tmp_path)):
            lock_folder(tmp_path)
        assert not is_locked(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def write(folder: Path, **content: object) -> None:
    (folder / "summary.json").write_text(json.dumps(content))


def test_a_running_process_is_told_from_a_killed_one(tmp_path: Path) -> None:
    """The word in summary.json is the same; the lock is not."""
    write(tmp_path, status="running", written="2026-01-02T03:04:05+00:00")
    process = holder(tmp_path)
    assert said(process) == "held None"
    assert state_of(tmp_path).status == "running"
    process.kill()
    process.wait()
    state = state_of(tmp_path)
    assert state.status == "died"
    assert state.reason is not None
    assert "killed" in state.reason
    assert "2026-01-02T03:04:05" in state.reason


def test_what_a_run_said_itself(tmp_path: Path) -> None:
    assert state_of(tmp_path) == RunState("missing", None, {})
    write(tmp_path, status="finished", g=0.5)
    assert state_of(tmp_path) == RunState("finished", None, {"status": "finished", "g": 0.5})
    write(tmp_path, status="failed", reason="NaN")
    assert (state_of(tmp_path).status, state_of(tmp_path).reason) == ("failed", "NaN")
    write(tmp_path, status=["finished"])
    assert state_of(tmp_path).status == "missing"


def test_a_run_that_ends_while_it_is_looked_at_has_not_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes how it ended, then it lets go of its folder; either may happen between two looks."""
    write(tmp_path, status="running")

    def ends(folder: Path) -> bool:
        write(folder, status="finished")
        return False

    monkeypatch.setattr("unseen.run_state.is_locked", ends)
    assert state_of(tmp_path).status == "finished"
    looks = iter([False, True])  # it began after the first look
    write(tmp_path, status="running")
    monkeypatch.setattr("unseen.run_state.is_locked", lambda _: next(looks))
    assert state_of(tmp_path).status == "running"


def as_file(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


ODD: dict[str, Callable[[Path], object]] = {
    "list": as_file(b"[1]"),
    "text": as_file(b'"x"'),
    "number": as_file(b"5"),
    "null": as_file(b"null"),
    "half": as_file(b'{"status": "fin'),
    "empty": as_file(b""),
    "not UTF-8": as_file(b'{"status": "\xff"}'),
    "deep": as_file(b"[" * 100_000),
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "link to itself": lambda path: path.symlink_to(path),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "huge": lambda path: (path.touch(), os.truncate(path, 2**40)),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_summary_is_no_run(kind: str, tmp_path: Path) -> None:
    ODD[kind](tmp_path / "summary.json")
    assert read_summary(tmp_path) == {}
    assert state_of(tmp_path).status == "missing"
