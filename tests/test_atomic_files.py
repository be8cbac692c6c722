"""Files are whole or not there."""

import json
import os

import pytest

from unseen.atomic_files import write_json, write_text


def test_an_error_leaves_the_old_file_and_no_leftovers(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"No space .*a\.txt"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_json_has_no_nan(tmp_path) -> None:
    write_json(tmp_path / "a.json", {"x": float("nan"), "y": [1, float("inf")], "z": {"w": 0.5}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None, "y": [1, None], "z": {"w": 0.5}}


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_who_may_read_results_is_what_the_user_has_set(tmp_path, mask, mode) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode
