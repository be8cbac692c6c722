"""The same network scored by 1, 2 and 3 real processes gives the same rows: 2 of them train it, 1 and 3 score it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Ran, run_command

pytestmark = pytest.mark.slow

# 61 seen and 57 unseen images: odd numbers, and batches that no number of processes divides
PROBE = (
    "probe.n_init=2",
    "probe.noise_levels=[0.5,1.0]",
    "probe.few_shot=[1,5]",
    "probe.discovery=true",
    "probe.ensembles=true",
)
SIZES = ("data.train_size=150", "data.test_size=61", "data.unseen_per_class=19", *PROBE)


ON_THE_FLY = ("data.decode=on_the_fly", "data.workers=1")


def rows(ran: Ran) -> dict[tuple[str, ...], float]:
    with (ran.folder / "scores.csv").open() as file:
        return {
            (row["step"], row["split"], row["layer_name"], row["probe"]): float(row["value"])
            for row in csv.DictReader(file)
        }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A network that two processes trained: batch norm differs between the ranks until they agree."""
    ran = run_command(
        "train.py", "model=resnet", "data=digits", "trainer=ddp_cpu", "trainer.devices=2",
        "data.batch_size=16", "trainer.max_steps=6", "trainer.val_check_interval=3", *SIZES,
        logs=tmp_path_factory.mktemp("trained"),
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    return ran


@pytest.fixture(scope="module")
def alone(trained: Ran, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return score(trained, tmp_path_factory.mktemp("alone"))


def score(trained: Ran, logs: Path, *arguments: str) -> Ran:
    checkpoint = trained.folder / "checkpoints" / "last.ckpt"
    ran = run_command("eval.py", f"ckpt_path='{checkpoint}'", *PROBE, *arguments, logs=logs)
    assert ran.code == 0, ran.out + ran.err
    assert len(ran.folders) == 1
    return ran


def test_two_processes_leave_one_folder_and_one_table(trained: Ran) -> None:
    assert len(trained.folders) == 1
    assert trained.summary()["status"] == "finished"
    assert trained.out.count("★ best") == 1
    steps = {key[0] for key in rows(trained)}
    assert steps == {"0", "3", "6"}


def test_what_was_scored_in_training_is_what_the_checkpoint_scores(trained: Ran, alone: Ran) -> None:
    last = {key: value for key, value in rows(trained).items() if key[0] == "6"}
    assert rows(alone) == pytest.approx(last, abs=1e-6)
    assert alone.summary()["seen_accuracy"] == pytest.approx(trained.summary()["seen_accuracy"], abs=1e-6)


def test_equal_for_any_number_of_processes(trained: Ran, alone: Ran, tmp_path: Path) -> None:
    together = score(trained, tmp_path, "trainer=ddp_cpu", "trainer.devices=3", *ON_THE_FLY)
    assert rows(together) == pytest.approx(rows(alone), abs=1e-6)
    assert {key[3] for key in rows(together)} >= {
        "accuracy", "nmi_noise_0.5", "nmi_noise_1", "few_shot_5", "cluster_accuracy_estimated", "ensemble_nmi",
    }  # fmt: skip
    theirs = np.load(alone.folder / "embeddings.npz")
    for ran in (together, trained):
        ours = np.load(ran.folder / "embeddings.npz")
        assert set(ours.files) == set(theirs.files) >= {"unseen_0", "unseen_4", "unseen_labels", "step"}
        for name in ours.files:
            assert ours[name].dtype == theirs[name].dtype
            assert np.array_equal(ours[name], theirs[name]), name
    for key in ("g", "best_layer", "seen_accuracy"):
        assert together.summary()[key] == pytest.approx(alone.summary()[key], abs=1e-6)
