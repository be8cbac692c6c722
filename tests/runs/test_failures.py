"""Ordinary failures are told in a sentence; what is read before Hydra is read with care."""

import logging
import os
from pathlib import Path

import pytest
import torch

from unseen.runs.cli import _guard, load_environment
from unseen.runs.errors import UserError, failure_sentence


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "out of memory: use a smaller data.batch_size"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory: use a smaller data.batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "data.eval_batch_size"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "data.image_size"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
            "a process that decodes images was",
        ),
        (RuntimeError("EADDRINUSE: port 29500"), "the port for the processes of this run is in use"),
        (OSError(98, "Address already in use"), "unset MASTER_PORT"),
        (
            FileExistsError(17, "File exists", "/x"),
            "/x cannot be a folder: it, or a part of its path, is a file",
        ),
        (
            OSError(30, "Read-only file system", "/x/logs"),
            "/x/logs cannot be made (Read-only file system): name a",
        ),
        (
            PermissionError(13, "Permission denied", "/x/logs"),
            "paths.log_dir=, or UNSEEN_LOG_DIR= before the command",
        ),
        (PermissionError(13, "Permission denied", "/"), "Permission denied: /"),  # there is one: it is read
        (OSError(28, "No space left on device", "/x"), "No space left on device: /x"),
        (FloatingPointError("the training loss is nan at step 3"), "the training loss is nan at step 3"),
    ],
)
def test_a_failure_in_a_sentence(error: Exception, says: str) -> None:
    sentence = failure_sentence(error)
    assert sentence is not None
    assert says in sentence


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_images_that_may_not_be_read_are_no_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    wanted = tmp_path / "private" / "photos"
    tmp_path.chmod(0o755)
    (tmp_path / "private").chmod(0)
    user = os.geteuid()
    try:
        if user == 0:  # who may read everything
            os.seteuid(65534)
        sentence = failure_sentence(PermissionError(13, "Permission denied", str(wanted)))
    finally:
        os.seteuid(user)
        (tmp_path / "private").chmod(0o755)
    assert sentence == f"Permission denied: {wanted}"


def test_a_bug_is_none() -> None:
    assert failure_sentence(RuntimeError("shape mismatch")) is None
    assert failure_sentence(KeyError("x")) is None


def test_a_file_of_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSEEN_TEST_A", raising=False)
    (tmp_path / ".env").write_text("UNSEEN_TEST_A=b\n")
    load_environment(tmp_path / ".env")
    assert os.environ.pop("UNSEEN_TEST_A") == "b"
    load_environment(tmp_path / "nowhere")


def test_a_file_of_variables_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("A=é\n".encode("latin-1"))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").write_bytes(b"A=\0\n")
    for name, says in (
        ("latin", "is not UTF-8 text"), ("folder", "is not a regular file"), ("pipe", "is not a regular file"),
        ("zero", "zero byte"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=says):
            load_environment(tmp_path / name)


def test_a_bug_leaves_its_stack_trace_in_a_file(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        logging.getLogger(), "handlers", []
    )  # pytest's own log file would be taken for a run's

    def task() -> None:
        raise RuntimeError("shapes do not match")

    assert _guard(task, composing=False) == 1
    told = capfd.readouterr()
    assert "Traceback" not in told.out + told.err
    sentence, _, file = told.err.strip().rstrip(")").partition(" (the stack trace is in ")
    assert sentence == "error: RuntimeError: shapes do not match"
    assert 'raise RuntimeError("shapes do not match")' in Path(file).read_text()
    Path(file).unlink()
