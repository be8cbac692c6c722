"""Batches of a task: an order of its own in each epoch, shared out over processes."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from unseen.data.batches import EvalSampler, TrainSampler, epoch_order
from unseen.data.task_loaders import EveryImage, TaskLoader, TrainAndHeldOut


def take(numbers: Tensor) -> tuple[Tensor, Tensor]:
    return numbers[:, None].float(), numbers % 3


class Recorder(LightningModule):
    """Keeps the numbers of the images of every step and evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.trained: dict[int, list[int]] = {}
        self.evaluated: list[int] = []
        self.predicted: list[int] = []

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        self.trained.setdefault(self.current_epoch, []).extend(batch[0].flatten().long().tolist())
        return self.weight.sum()

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> None:
        self.evaluated += batch[0].flatten().long().tolist()

    def predict_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        self.predicted += batch[2].tolist()
        return batch[2]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_each_epoch_has_its_order_and_held_out_images_come_once() -> None:
    recorder, train, held_out = Recorder(), [3, 5, 7, 9, 11, 13, 15, 17, 19, 21], [0, 2, 4]
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=3, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(
        recorder, datamodule=TrainAndHeldOut(take, train=train, held_out=held_out, batch_size=4, seed=0)
    )
    assert recorder.trained == {
        epoch: [train[place] for place in epoch_order(10, 0, epoch)] for epoch in range(3)
    }
    assert recorder.evaluated == held_out * 3
    trainer.predict(recorder, datamodule=EveryImage(take, 9, 4), return_predictions=False)
    assert recorder.predicted == list(range(9))


def test_processes_share_a_step_of_one_process() -> None:
    alone = TaskLoader(TrainSampler(12, 4, seed=1), take)
    shares = [TaskLoader(TrainSampler(12, 2, seed=1, rank=rank, world_size=2), take) for rank in (0, 1)]
    assert len(alone) == len(shares[0]) == 3
    for step, *parts in zip(alone, *shares, strict=True):
        assert sorted(step[2].tolist()) == sorted(torch.cat([numbers for _, _, numbers in parts]).tolist())


def test_each_image_is_in_one_process() -> None:
    shares = [TaskLoader(EvalSampler(11, 4, rank=rank, world_size=3), take) for rank in range(3)]
    assert sorted(int(one) for share in shares for _, _, some in share for one in some) == list(range(11))


def test_other_batches_are_no_continuation() -> None:
    made = TaskLoader(TrainSampler(12, 4, seed=1), take, {"batch_size": 4, "processes": 1})
    made.load_state_dict(made.state_dict())
    with pytest.raises(ValueError, match="written with processes=2, and this run has processes=1"):
        made.load_state_dict({"batch_size": 4, "processes": 2})
