"""Fine-tuning by transfer.py in real processes: killed and gone on, shared by two processes, logged, read back."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.conftest import Ran, run_command
from tests.cli.test_transfer_command import TOY
from tests.cli.test_wandb import history, offline, offline_runs, records

import unseen

pytestmark = pytest.mark.slow
MORTAL = '''

import os
import signal


class Forgetful(Toy):
    """Drops some of what it makes of captions in training."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.2)

    def encode_texts(self, texts):
        return self.drop(super().encode_texts(texts))


class Mortal(torch.optim.SGD):
    """SGD that is killed after a step."""

    steps = 0

    def step(self, *arguments, **more):
        found = super().step(*arguments, **more)
        self.steps += 1
        if str(self.steps) == os.environ.get("DIES_AFTER"):
            os.kill(os.getpid(), signal.SIGKILL)
        return found
'''
# 51 and 99 test images: odd numbers; 180 to train on in 6 steps an epoch, and 20 held-out ones
SMALL = (
    "model=forgetful", "tuning=full", "optimizer=mortal", "epochs=5", "data=digits", "data.train_size=200",
    "data.test_size=99", "data.cache_gb=0", "draws=5", "others=[{typefaces: {train_size: 25, test_size: 51}}]",
)  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder and an optimizer of one's own, and the files that choose them."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mortal_parts.py").write_text(TOY + MORTAL)
    for group, name, text in (
        ("encoder", "forgetful", "_target_: mortal_parts.Forgetful\n"),
        (
            "optimizer",
            "mortal",
            "# @package model.optimizer\n_target_: mortal_parts.Mortal\n_partial_: true\nlr: 0.5\nmomentum: 0.9\n",
        ),
    ):
        (folder / group).mkdir()
        (folder / group / f"{name}.yaml").write_text(text)
    return folder


def transfer(own: Path, *arguments: str, logs: Path, **extra: str) -> Ran:
    line = (f"--config-dir={own}", *SMALL, *arguments)
    return run_command("transfer.py", *line, logs=logs, PYTHONPATH=str(own), **extra)


@pytest.fixture(scope="module")
def whole(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run of which nothing was stopped, logged everywhere."""
    home = tmp_path_factory.mktemp("home")
    ran = transfer(
        own, "batch_size=32", "logger=many", logs=tmp_path_factory.mktemp("whole"), **offline(home)
    )
    assert ran.code == 0, ran.out + ran.err
    return ran


def rows(ran: Ran) -> dict[tuple[str, str], list[str]]:
    """Return the numbers of scores.csv, but for seconds."""
    numbers = ("value", "low", "high", "n", "percentile")
    with (ran.folder / "scores.csv").open(encoding="utf-8") as file:
        return {
            (row["task"], row["measure"]): [row[name] for name in numbers] for row in csv.DictReader(file)
        }


def checkpoint(ran: Ran, name: str) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(ran.folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return found


def test_a_killed_run_goes_on_bit_for_bit(whole: Ran, own: Path, tmp_path: Path) -> None:
    """Killed in epoch 5, the best one, as a job of a sweep; until then the best one is not the last."""
    line = ("-m", "batch_size=32", "seed=0", "resume=true")
    killed = transfer(own, *line, logs=tmp_path, DIES_AFTER="26")
    assert killed.code == 1, killed.out
    assert "SIGKILL" in killed.summary()["reason"]
    assert len(checkpoint(killed, "last")["fine_tuning"]["accuracies"]) == 4
    before = checkpoint(killed, "last")["fine_tuning"]["best"]
    assert before["epoch"] == 2  # of equal ones the first
    assert before["weights"].keys() == {"image.weight", "text.weight"}
    scores = (killed.folder / "scores.csv").read_text()
    ran = transfer(own, *line, logs=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    assert len(ran.folders) == 1
    assert "training goes on from" in (ran.folder / "console.log").read_text()
    assert (ran.folder / "scores.csv").read_text().startswith(scores)  # seconds, too: not measured again
    assert rows(ran) == rows(whole)
    for key in ("held_out_accuracies", "best_epoch", "values"):
        assert ran.summary()[key] == whole.summary()[key]
    for name in ("best", "last"):
        ours, theirs = checkpoint(ran, name), checkpoint(whole, name)
        assert ours["epoch"] == theirs["epoch"]
        assert (
            ours["state_dict"].keys()
            == theirs["state_dict"].keys()
            == {"encoder.image.weight", "encoder.text.weight"}
        )
        for weight, value in theirs["state_dict"].items():
            assert torch.equal(ours["state_dict"][weight], value), (name, weight)


def test_two_processes_find_what_one_finds(whole: Ran, own: Path, tmp_path: Path) -> None:
    ran = transfer(own, "batch_size=16", "trainer=ddp_cpu", "trainer.devices=2", logs=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    assert len(ran.folders) == 1
    assert ran.out.count("above shuffled labels") == 1
    assert "sync_dist" not in ran.err
    together, alone = rows(ran), rows(whole)
    assert together.keys() == alone.keys()
    for key, numbers in alone.items():
        for ours, theirs in zip(together[key], numbers, strict=True):
            assert (float(ours) == pytest.approx(float(theirs), abs=1e-6)) if theirs else not ours, key
    assert ran.summary()["held_out_accuracies"] == whole.summary()["held_out_accuracies"]
    for weight, value in checkpoint(whole, "best")["state_dict"].items():
        torch.testing.assert_close(checkpoint(ran, "best")["state_dict"][weight], value, atol=1e-5, rtol=0)


def test_curves_reach_one_run_of_each_logger(whole: Ran) -> None:
    folder, accuracies = whole.folder, whole.summary()["held_out_accuracies"]
    assert len(offline_runs(folder)) == 1
    kept = history(records(folder))
    epochs = [row for row in kept if "held_out/accuracy" in row]
    assert [row["trainer/global_step"] for row in epochs] == [6, 12, 18, 24, 30]
    assert [row["held_out/accuracy"] for row in epochs] == pytest.approx(accuracies)
    assert all(row["train/loss"] > 0 and row["held_out/loss"] > 0 for row in epochs)
    (values,) = [row for row in kept if "transfer/gain/digits" in row]
    assert values["trainer/global_step"] == 30
    assert [path.name for path in (folder / "metrics").iterdir()] == ["version_0"]
    with (folder / "metrics" / "version_0" / "metrics.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["step"]) for line in lines] == [6, 12, 18, 24, 30, 30]
    assert len(list((folder / "tensorboard").rglob("events*"))) >= 1


def test_an_epoch_is_a_line(whole: Ran) -> None:
    lines = [line for line in whole.out.splitlines() if line.startswith("step ")]
    assert [line.split(" · ")[0] for line in lines] == [f"step {step}/30" for step in (6, 12, 18, 24, 30)]
    accuracy = whole.summary()["held_out_accuracies"][-1]
    assert lines[-1].endswith(f"held-out accuracy {accuracy:.3f}")


def test_the_trained_encoder_comes_back(whole: Ran, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(own))
    found = unseen.load_encoder(whole.folder, trust=["mortal_parts.Forgetful"])
    best = whole.summary()["best_epoch"]
    assert (found.task, found.technique, found.epoch) == ("digits", "full", best)
    assert found.accuracy == whole.summary()["held_out_accuracies"][best - 1]
    assert torch.equal(
        found.encoder.state_dict()["image.weight"],
        checkpoint(whole, "best")["state_dict"]["encoder.image.weight"],
    )
    assert found.logits(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


def test_a_trained_encoder_is_tested_again(whole: Ran, own: Path, tmp_path: Path) -> None:
    again = (
        "model=fine_tuned",
        f"encoder.checkpoint={whole.folder}",
        "encoder.trust=[mortal_parts.Forgetful]",
    )
    of_images = [one for one in SMALL if not one.startswith(("tuning=", "optimizer=", "epochs="))]
    line = (f"--config-dir={own}", *of_images, *again, "measure_only=true", "draws=0")
    ran = run_command("transfer.py", *line, logs=tmp_path, PYTHONPATH=str(own))
    assert ran.code == 0, ran.err
    assert ran.summary()["encoder"] == "toy of width 8, fine-tuned on digits (full)"
    for task in ("digits", "typefaces"):
        assert rows(ran)[task, "accuracy_before"] == rows(whole)[task, "accuracy_after"]


def test_no_file_is_kept_where_none_is_wanted(own: Path, tmp_path: Path) -> None:
    off = (
        "callbacks.best_checkpoint=null",
        "callbacks.last_checkpoint=null",
        "epochs=1",
        "draws=0",
        "others=[]",
    )
    ran = transfer(own, *off, logs=tmp_path)
    assert ran.code == 0, ran.err
    assert not (ran.folder / "checkpoints").exists()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (("trainer.max_steps=3",), "trainer.max_steps is not read by transfer.py"),
        (("callbacks=early_stopping",), "callbacks is not read by transfer.py"),
        (("measure_only=true",), "tuning is not read: measure_only=true does not train"),
        (("model=fine_tuned",), "encoder.checkpoint is missing"),
        (("trainer=ddp_cpu", "trainer.devices=21"), "21 processes cannot share 20 held-out images"),
    ],
)
def test_mistakes_get_a_sentence(typed: tuple[str, ...], sentence: str, own: Path, tmp_path: Path) -> None:
    ran = transfer(own, *typed, logs=tmp_path)
    assert ran.code == 1, ran.out
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error:")]
    assert sentence in line
