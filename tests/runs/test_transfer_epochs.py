"""Fine-tuning shows the images of every epoch in an order of its own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from unseen.data.batches import epoch_order
from unseen.runs.fine_tuning import EpochsOf


class Recorder(LightningModule):
    """Keeps the labels of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: dict[int, list[int]] = {}

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        self.seen.setdefault(self.current_epoch, []).extend(batch[1].tolist())
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_each_epoch_has_its_order() -> None:
    recorder = Recorder()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for labels in torch.as_tensor(epoch_order(10, 0, recorder.current_epoch)).split(4):
            yield torch.zeros(len(labels), 3), labels

    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=3, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(recorder, train_dataloaders=EpochsOf(batches, 3))
    assert recorder.seen == {epoch: epoch_order(10, 0, epoch).tolist() for epoch in range(3)}
