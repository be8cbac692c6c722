"""Exchanged parts by the real commands: what was trained is scored again from its checkpoint, to the same rows."""

from collections.abc import Callable

import pytest
import torch
import yaml
from tests.cli.conftest import BARE, TINY, Ran

from unseen.backbones.tuning import counted
from unseen.runs.checkpoints import read_checkpoint
from unseen.runs.embed import network_of
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
        *BARE,
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
    again = ScoreTable.read(scored.folder / "scores.csv")
    assert list(map(str, again.at(4))) == list(map(str, table.at(4)))  # as text: NaN is NaN
    network = network_of(read_checkpoint(ran.folder / "checkpoints" / "last.ckpt", resume=False))
    assert counted(network)[0] == summary["parameters"]
    refused = evaluate(f"ckpt_path={ran.folder}/checkpoints/last.ckpt", "tuning=full")
    assert refused.code == 1
    assert "has model.tuning=unseen.backbones.tuning.lora, not unseen.backbones.tuning.full" in refused.err


def test_training_goes_on_with_the_parts_of_the_checkpoint(train: Callable[..., Ran]) -> None:
    """And not with code that a file chose."""
    ran = train("model=resnet", "loss=focal", "augment=flip_crop", *TINY, *BARE)
    assert ran.code == 0, ran.err
    checkpoint = ran.folder / "checkpoints" / "last.ckpt"
    on = train(f"ckpt_path={checkpoint}", "trainer.max_steps=6", "trainer.val_check_interval=2")
    assert on.code == 0, on.err
    settings = yaml.safe_load((on.folder / "config.yaml").read_text())
    assert settings["model"]["loss"]["_target_"] == "unseen.training.losses.FocalLoss"
    assert settings["data"]["augment"]["_target_"] == "torchvision.transforms.v2.Compose"
    other = train(f"ckpt_path={checkpoint}", "augment=trivial")
    assert other.code == 1
    assert "was trained with other settings: data.augment" in other.err
    content = torch.load(checkpoint, weights_only=True)
    content["unseen"]["model"]["loss"]["_target_"] = "os.system"
    torch.save(content, checkpoint)
    refused = train(f"ckpt_path={checkpoint}")
    assert refused.code == 1
    assert "names os.system in model.loss, and a file may not choose code" in refused.err
