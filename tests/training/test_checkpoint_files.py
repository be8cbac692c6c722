"""Checkpoints are whole or not there, and do not pass through memory."""

from __future__ import annotations

import io
import os
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from unseen.training import checkpoint_files
from unseen.training.checkpoint_files import StreamedCheckpointIO

MEGABYTES = 16


def content(value: float) -> dict[str, object]:
    return {"state_dict": {"weight": torch.full((MEGABYTES * 2**18,), value)}, "global_step": int(value)}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "last.ckpt"
    StreamedCheckpointIO().save_checkpoint(content(3), path)
    found = StreamedCheckpointIO().load_checkpoint(path)
    assert found["global_step"] == 3
    assert torch.equal(found["state_dict"]["weight"], content(3)["state_dict"]["weight"])  # type: ignore[index]
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let the system refuse to write more than 4 MB to a file, as a full disk would in the middle of a checkpoint."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * 2**20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_one(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """And is told as such, not as what torch makes of it."""
    path = tmp_path / "last.ckpt"
    StreamedCheckpointIO().save_checkpoint(content(1), path)
    request.getfixturevalue("small_files")
    with pytest.raises(OSError, match=r"File too large: .*last\.ckpt"):
        StreamedCheckpointIO().save_checkpoint(content(2), path)
    assert StreamedCheckpointIO().load_checkpoint(path)["global_step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_ctrl_c_stays_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch writes through a Python file, where the interrupt arrives."""
    path = tmp_path / "last.ckpt"

    class Interrupted(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() > 2**20:  # in the middle of the archive
                raise KeyboardInterrupt
            return super().write(data)

    def write_file(path: Path, write: Callable[[BinaryIO], object], *, durable: bool) -> None:
        write(Interrupted())

    monkeypatch.setattr(checkpoint_files, "write_file", write_file)
    with pytest.raises(KeyboardInterrupt):
        StreamedCheckpointIO().save_checkpoint(content(1), path)


def test_a_save_clears_what_a_kill_has_left(tmp_path: Path) -> None:
    for name in ("last.ckpt", "last[1].ckpt"):
        (tmp_path / f".{name}.abc.part").write_bytes(b"half")
        StreamedCheckpointIO().save_checkpoint({"global_step": 1}, tmp_path / name)
    assert {file.name for file in tmp_path.iterdir()} == {"last.ckpt", "last[1].ckpt"}


def test_it_is_not_put_together_in_memory(tmp_path: Path) -> None:
    saved = content(1)
    tracemalloc.start()
    try:
        StreamedCheckpointIO().save_checkpoint(saved, tmp_path / "last.ckpt")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MEGABYTES * 2**20 / 4
    assert os.path.getsize(tmp_path / "last.ckpt") > MEGABYTES * 2**20  # noqa: PTH202


def test_no_options_and_other_places_are_lightnings(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="storage_options"):
        StreamedCheckpointIO().save_checkpoint(content(1), tmp_path / "last.ckpt", storage_options={"a": 1})
    StreamedCheckpointIO().save_checkpoint(content(4), f"file://{tmp_path}/elsewhere.ckpt")
    assert torch.load(tmp_path / "elsewhere.ckpt")["global_step"] == 4
