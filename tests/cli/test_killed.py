"""A command that is killed leaves the truth in its folder, and no process behind.

The interpreter that runs the commands waits for everything they start, so a process left behind fails a test.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import BARE, ROOT, TINY, Ran, run_command

pytestmark = pytest.mark.slow
SABOTEUR = "+callbacks.saboteur._target_=tests.cli.saboteur.Saboteur"


def sabotaged(*arguments: str, logs: Path, kind: str, rank: int = 0) -> Ran:
    return run_command(
        "train.py", *arguments, "model=resnet", *TINY, *BARE, SABOTEUR,
        f"+callbacks.saboteur.kind={kind}", f"+callbacks.saboteur.rank={rank}", logs=logs, PYTHONPATH=str(ROOT),
    )  # fmt: skip


def test_a_terminated_run_says_so(tmp_path: Path) -> None:
    ran = sabotaged(logs=tmp_path, kind="terminate")
    assert ran.code == 143, ran.err
    assert (ran.summary()["status"], ran.summary()["reason"]) == ("failed", "terminated (SIGTERM)")
    assert ran.summary()["steps"] == 2  # what was evaluated is kept
    last = ran.folder / "checkpoints" / "last.ckpt"
    left = f"what was evaluated is in {ran.folder}; it goes on with: python src/train.py ckpt_path={last}"
    assert ran.err.strip() == f"error: terminated (SIGTERM); {left}"


def test_a_killed_rank_is_told_and_takes_the_others_with_it(tmp_path: Path) -> None:
    """Below a folder whose name needs quotes: the command of the second process is written by us, too."""
    ran = sabotaged("trainer=ddp_cpu", logs=tmp_path / """it's "mine", [1]={2}""", kind="kill", rank=1)
    assert ran.code == 1, ran.err
    assert ran.summary()["status"] == "failed"
    assert ran.summary()["reason"] == "process 1 of 0..1 was killed by SIGKILL (out of memory, or by hand)"
    assert ran.err.strip().splitlines()[-1] == f"error: {ran.summary()['reason']}"
    assert "Traceback" not in ran.err


def test_a_terminated_sweep_ends_its_job_in_order(tmp_path: Path) -> None:
    ran = sabotaged("-m", "seed=0,1", logs=tmp_path, kind="terminate_parent")
    assert ran.code == 143, ran.err
    assert [folder.name for folder in ran.folders] == ["seed-0"]
    assert (ran.summary()["status"], ran.summary()["reason"]) == ("failed", "terminated (SIGTERM)")


def test_a_finished_folder_is_continued_but_not_replaced(tiny_run: Ran, tmp_path: Path) -> None:
    """In a SLURM allocation of four tasks, whose first nobody started by srun: one process is what was asked for."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    allocation = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "train"}
    line = ("model=resnet", *TINY, f"hydra.run.dir={folder}")
    ran = run_command("train.py", *line, "seed=1", logs=tmp_path, **allocation)
    assert ran.code == 1
    assert "holds a finished run (resnet digits, seed 0), which would be lost" in ran.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    ran = run_command(
        "train.py", *line, "seed=0", "trainer.max_steps=6", f"ckpt_path={folder}/checkpoints/last.ckpt", logs=tmp_path,
        **allocation,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["steps"]) == ("finished", 6)
    assert summary["threads"] >= 1
