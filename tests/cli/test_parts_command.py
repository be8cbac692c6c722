"""Exchanged parts by the real commands: what was trained is scored again from its checkpoint, to the same rows."""

from collections.abc import Callable

import pytest
from tests.cli.conftest import TINY, Ran

from unseen.scores import ScoreTable

pytestmark = pytest.mark.slow
PARTS = (
    "tuning=lora", "loss=supcon", "optimizer=lion", "scheduler=cosine", "augment=trivial", "data.class_balanced=true",
    "logger=tensorboard", "callbacks=early_stopping", "callbacks.early_stopping.patience=1",
    "callbacks.early_stopping.min_delta=10",
)  # fmt: skip


def test_a_network_with_other_parts_is_scored_from_its_checkpoint(
    train: Callable[..., Ran], evaluate: Callable[..., Ran]
) -> None:
    ran = train(
        "model=vit",
        "++model.sizes.demo.options.depth=2",
        *PARTS,
        *TINY,
        "trainer.max_steps=8",
        "probe.at_start=false",
    )
    assert ran.code == 0, ran.err
    summary = ran.summary()
    assert 0 < summary["trainable_parameters"] < summary["parameters"] / 4
    counts = f"{summary['trainable_parameters']:,} of {summary['parameters']:,} parameters are trained"
    assert counts in ran.out
    table = ScoreTable.read(ran.folder / "scores.csv")
    assert table.steps == [2, 4]  # the loss did not fall by 10, so that it stopped
    assert list(ran.folder.glob("tensorboard/*/events.out.tfevents.*"))
    scored = evaluate(f"ckpt_path={ran.folder}/checkpoints/last.ckpt")
    assert scored.code == 0, scored.err
    assert ScoreTable.read(scored.folder / "scores.csv").at(4) == table.at(4)
    refused = evaluate(f"ckpt_path={ran.folder}/checkpoints/last.ckpt", "tuning=full")
    assert refused.code == 1
    assert "has model.tuning=unseen.backbones.tuning.lora, not unseen.backbones.tuning.full" in refused.err
