"""The scores that a run leaves behind are those of the checkpoint that it leaves behind."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.cli.conftest import ROOT, run_command

pytestmark = pytest.mark.slow
SMALL = (
    "model=resnet", "data=digits", "data.train_size=48", "data.batch_size=16", "data.test_size=20",
    "data.unseen_per_class=8", "data.rotation=10", "data.eval_deterministic=false", "probe.n_init=1",
    "probe.save_embeddings=false", "seed=1", "callbacks.best_checkpoint=null",
    "probe.selectors=none",
)  # fmt: skip
# an epoch has three batches
STOPPED = {  # planned for 7 steps, stopped at step 4
    "trainer.max_steps": "7",
    "trainer.val_check_interval": "3,10",
    "+callbacks.stop.how": "early,interrupt,between",
}
ENDED = {"trainer.max_steps": "2,7", "trainer.max_epochs": "null,2", "trainer.val_check_interval": "0.5"}
ENDED_AT = {("2", "null"): 2, ("2", "2"): 2, ("7", "2"): 6, ("7", "null"): 7}


def last_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    last = max(int(row["step"]) for row in rows)
    return [row for row in rows if int(row["step"]) == last]


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def sweep(logs: Path, ways: dict[str, str]) -> list[Path]:
    stop = ("+callbacks.stop._target_=tests.cli.saboteur.Stop", "+callbacks.stop.step=4")
    ran = run_command(
        "train.py", "-m", *SMALL, *(f"{key}={values}" for key, values in ways.items()),
        *(stop if "+callbacks.stop.how" in ways else ()), logs=logs, PYTHONPATH=str(ROOT), timeout=280,
    )  # fmt: skip
    assert len(ran.folders) == np.prod([len(values.split(",")) for values in ways.values()]), (
        ran.out + ran.err
    )
    return ran.folders


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sweep(tmp_path_factory.mktemp("stopped"), STOPPED)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sweep(tmp_path_factory.mktemp("ended"), ENDED)


def test_a_stopped_run_keeps_what_has_a_checkpoint(stopped: list[Path]) -> None:
    for folder in stopped:
        found, name = summary(folder), folder.name
        if "early" in name:
            assert (found["status"], found["steps"]) == ("finished", 4), name
        else:
            # an interval of three steps has step 3 behind it
            assert (found["status"], found["reason"]) == ("failed", "interrupted"), name
            assert found["steps"] == (0 if "interval-10" in name else 3), name


def test_an_ended_run_is_scored_at_its_last_step(ended: list[Path]) -> None:
    for folder in ended:
        trainer = yaml.safe_load((folder / "config.yaml").read_text())["trainer"]
        planned = ENDED_AT[str(trainer["max_steps"]), str(trainer["max_epochs"] or "null")]
        assert (summary(folder)["status"], summary(folder)["steps"]) == ("finished", planned)


def test_scoring_the_last_checkpoint_gives_the_last_rows(
    stopped: list[Path], ended: list[Path], tmp_path: Path
) -> None:
    paths = []
    for number, folder in enumerate([*stopped, *ended]):
        paths.append(tmp_path / f"{number:02d}.ckpt")  # out of its folder: it must do by itself
        shutil.copy(folder / "checkpoints" / "last.ckpt", paths[-1])
    ran = run_command(
        "eval.py", "-m", f"ckpt_path={','.join(map(str, paths))}", logs=tmp_path / "logs", timeout=280
    )
    assert ran.code == 0, ran.out + ran.err
    scored = {Path(summary(folder)["checkpoint"]).name: folder for folder in ran.folders}
    assert len(scored) == len(paths) == 10
    for path, folder in zip(paths, [*stopped, *ended], strict=True):
        assert last_rows(scored[path.name]) == last_rows(folder), folder.name
