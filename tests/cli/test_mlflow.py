"""`logger=mlflow` as people type it, read back from the database. Skipped where MLflow is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import ROOT, TINY, Ran, run_command

pytest.importorskip("mlflow", reason="MLflow is no test tool: pip install 'unseen[mlflow]' runs these tests")
pytestmark = pytest.mark.slow
SHORT = ("model=resnet", *TINY, "trainer.max_steps=2", "probe.at_start=false", "logger=mlflow")


def runs(logs: Path) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{logs}/mlflow.db")
    experiment = client.get_experiment_by_name("unseen")
    assert experiment is not None
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])


def as_it_should(ran: Ran) -> None:
    assert ran.code == 0, ran.out + ran.err
    for word in ("Traceback", "WARNING", "INFO", "Creating"):
        assert word not in ran.out + ran.err
    assert not (ROOT / "mlruns").exists()


def test_jobs_of_a_sweep_that_begin_together_share_a_new_database(tmp_path: Path) -> None:
    ran = run_command("train.py", "-m", *SHORT, "seed=0,1", "hydra.launcher.n_jobs=2", logs=tmp_path)
    as_it_should(ran)
    consoles = [(folder / "console.log").read_text() for folder in ran.folders]
    assert not any(word in text for text in consoles for word in ("INFO", "WARNING"))
    first, second = sorted(runs(tmp_path), key=lambda run: run.data.params["seed"])
    names = [run.info.run_name for run in (first, second)]
    assert names[0].removesuffix("-s0") == names[1].removesuffix("-s1")
    for run, seed in ((first, 0), (second, 1)):
        (folder,) = [
            one for one in ran.folders if one.name.endswith(f"seed-{seed}") or f"seed={seed}" in one.name
        ]
        table = (folder / "summary.json").read_text()
        assert run.info.status == "FINISHED"
        assert str(run.data.metrics["unseen/g"])[:6] in table
        assert run.data.params["model/name"] == "resnet"


def test_a_run_that_goes_on_is_a_run_of_its_own(tmp_path: Path) -> None:
    first = run_command("train.py", *SHORT, logs=tmp_path)
    as_it_should(first)
    checkpoint = first.folder / "checkpoints/last.ckpt"
    second = run_command(
        "train.py", f"ckpt_path={checkpoint}", "trainer.max_steps=4", "logger=mlflow", logs=tmp_path
    )
    as_it_should(second)
    before, after = runs(tmp_path)
    assert before.info.run_id != after.info.run_id
    assert after.data.params["trainer/max_steps"] == "4"
    assert second.summary()["steps"] == 4
    assert after.data.metrics["unseen/g"] == pytest.approx(second.summary()["g"])


def test_several_processes_and_loggers_are_one_run(tmp_path: Path) -> None:
    """In a folder elsewhere: the database's own is not there yet."""
    line = (*SHORT[:-1], "logger=[mlflow,tensorboard]", "trainer=ddp_cpu", "trainer.devices=2")
    ran = run_command("train.py", *line, f"hydra.run.dir={tmp_path}/elsewhere", logs=tmp_path / "logs")
    as_it_should(ran)
    (run,) = runs(tmp_path / "logs")
    assert run.info.status == "FINISHED"
    assert list((tmp_path / "elsewhere/tensorboard").rglob("events.*"))
