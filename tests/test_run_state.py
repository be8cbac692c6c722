"""How a run stands, from its folder alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_folder_lock import holder
from unseen.run_state import RunState, read_summary, state_of


def write(folder: Path, **content: object) -> None:
    (folder / "summary.json").write_text(json.dumps(content))


def test_a_running_process_is_told_from_a_killed_one(tmp_path: Path) -> None:
    """The word in summary.json is the same; the lock is not."""
    write(tmp_path, status="running", written="2026-01-02T03:04:05+00:00")
    process = holder(tmp_path)
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
