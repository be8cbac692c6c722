"""Each command has a folder of its own, and a finished run is not replaced."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from unseen.run_state import lock_folder
from unseen.runs.own_folder import _claim, give_back, is_claimed, refusal


def test_commands_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    wanted, meeting = tmp_path / "runs" / "10-00-00", threading.Barrier(8)
    made: list[Path] = []

    def command() -> None:
        meeting.wait()
        made.append(_claim(wanted))

    threads = [threading.Thread(target=command) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in made) == [
        "10-00-00",
        *(f"10-00-00_{number}" for number in range(2, 9)),
    ]


def test_only_an_unused_folder_of_ones_own_is_given_back(tmp_path: Path) -> None:
    own, used, typed = _claim(tmp_path / "a"), _claim(tmp_path / "b"), tmp_path / "c"
    typed.mkdir()
    for path in (own, used, typed):
        (path / "multirun.yaml").touch()
    (used / "notes.txt").touch()
    assert [is_claimed(path) for path in (own, used, typed)] == [True, True, False]
    for path in (own, used, typed):
        give_back(path)
    assert [path.exists() for path in (own, used / "multirun.yaml", typed / "multirun.yaml")] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("status", "own_checkpoint", "refused"),
    [
        ("finished", False, True),
        ("finished", True, False),
        ("failed", False, False),
        ("running", False, False),
    ],
)
def test_which_run_may_be_replaced(status: str, own_checkpoint: bool, refused: bool, tmp_path: Path) -> None:
    """A finished one only by its own continuation; what failed, or died while it was running, by anything."""
    (tmp_path / "summary.json").write_text(
        json.dumps({"status": status, "model": "vit", "data": "digits", "seed": 3})
    )
    sentence = refusal(tmp_path, own_checkpoint=own_checkpoint)
    assert (sentence is not None) is refused
    if sentence:
        assert "holds a finished run (vit digits, seed 3)" in sentence


def test_a_running_one_never(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path)
    assert "another process is running" in str(refusal(tmp_path, own_checkpoint=True))
    lock.release()
    assert refusal(tmp_path, own_checkpoint=False) is None
