"""W&B without a key: no prompt, offline files, one closed run a job, in the sweep's group. Read back from the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import ROOT, TINY, run_command

pytestmark = pytest.mark.slow


BLOCK, HEADER, FILE_HEADER = 32768, 7, 7
WHOLE, LAST = 1, 4


def records(folder: Path) -> list[Any]:
    """Read the records of an offline run: LevelDB's log format (blocks, pieces with checksum, length, kind)."""
    from wandb.proto import wandb_internal_pb2

    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    data, at, piece, found = path.read_bytes(), FILE_HEADER, b"", []
    assert data.startswith(b":W&B")
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:  # too little left in the block for a header
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        piece += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in {WHOLE, LAST}:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(piece)
            found.append(record)
            piece = b""
    return found


def test_each_job_is_a_closed_run_of_the_sweeps_group(tmp_path: Path) -> None:
    ran = run_command(
        "train.py", "-m", "logger=wandb", "model=resnet", "seed=0", *TINY,
        "+callbacks.saboteur._target_=tests.cli.saboteur.Saboteur", "+callbacks.saboteur.kind=none,raise",
        logs=tmp_path, PYTHONPATH=str(ROOT), HOME=str(tmp_path), WANDB_API_KEY="",
    )  # fmt: skip
    assert ran.code == 1
    ids = set()
    for folder in ran.folders:
        assert "W&B: no key" in (folder / "console.log").read_text()
        summary = json.loads((folder / "summary.json").read_text())
        kept = records(folder)
        (run,) = (record.run for record in kept if record.WhichOneof("record_type") == "run")
        ids.add(run.run_id)
        assert run.run_group == folder.parent.name
        assert (run.project, run.job_type, run.display_name) == ("unseen", "train", "resnet-digits-s0")
        assert set(run.tags) == {"resnet", "digits", "demo"}
        (end,) = (record.exit for record in kept if record.WhichOneof("record_type") == "exit")
        assert end.exit_code == (0 if summary["status"] == "finished" else 1)
        config = {item.key or "/".join(item.nested_key) for record in kept for item in record.config.update}
        config |= {item.key for item in run.config.update}
        assert {"seed", "model", "data", "probe", "trainer"} <= config
        logged = {
            item.key or "/".join(item.nested_key)
            for record in kept
            if record.WhichOneof("record_type") == "history"
            for item in record.history.item
        }
        assert {
            "unseen/g",
            "unseen/best_layer",
            "seen/accuracy",
            "unseen/nmi/input",
            "trainer/global_step",
        } <= logged
    assert len(ids) == 2
