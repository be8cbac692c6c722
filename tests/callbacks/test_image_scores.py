"""EL2N scores: by hand, of every training image, and without a trace in the training."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tests.runs.conftest import small
from torch.nn import functional as F

from unseen.callbacks.image_scores import ImageScores, el2n
from unseen.data.diet import Diet, read_el2n


def test_by_hand() -> None:
    """p = (3/4, 1/4): of class 0 the error is (-1/4, 1/4), of class 1 (3/4, -3/4)."""
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0], [100.0, 0.0]])
    expected = [math.sqrt(2) / 4, 3 * math.sqrt(2) / 4, math.sqrt(2)]
    assert el2n(logits, torch.tensor([0, 1, 1])).tolist() == pytest.approx(expected)


def test_each_training_image_has_its_score(tmp_path: Path) -> None:
    run = small(tmp_path / "run", probing=False)
    file = tmp_path / "scores" / "el2n.csv"
    run.trainer.callbacks.append(ImageScores(file))  # type: ignore[attr-defined]
    before, state = run.weights(), torch.get_rng_state()
    run.module.train()
    run.trainer.validate(run.module, run.datamodule, verbose=False)
    assert all(torch.equal(value, before[name]) for name, value in run.weights().items())
    assert torch.equal(torch.get_rng_state(), state)

    batches = [run.datamodule.on_after_batch_transfer(one, 0) for one in run.datamodule.scored_dataloader()]
    with torch.no_grad():
        logits = torch.cat([run.module.eval()(batch.images) for batch in batches])
    labels = torch.cat([batch.labels for batch in batches])
    errors = logits.softmax(1) - F.one_hot(labels, logits.shape[1])
    scores = read_el2n(file)
    assert list(scores) == list(run.datamodule.references("train"))
    assert list(scores.values()) == pytest.approx(errors.square().sum(1).sqrt().tolist(), abs=1e-5)


def test_nothing_is_written_where_images_are_left_out(tmp_path: Path) -> None:
    run = small(tmp_path / "run", probing=False)
    run.datamodule._diet = Diet("random")
    run.trainer.callbacks.append(ImageScores(tmp_path / "el2n.csv"))  # type: ignore[attr-defined]
    run.trainer.validate(run.module, run.datamodule, verbose=False)
    assert not (tmp_path / "el2n.csv").exists()
