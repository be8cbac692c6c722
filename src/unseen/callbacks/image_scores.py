"""EL2N scores of the training images, written at each evaluation: what `data.keep` chooses by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F

from unseen.atomic_files import write_file
from unseen.callbacks.preserve import preserve
from unseen.full_precision import EvalPrecision, full_precision


def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """Return |p - y| (B,) of logits (B, C) and labels (B,), 0..sqrt(2) (Paul et al., arXiv 2107.07075).

    >>> el2n(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
    tensor([0.7071])
    """
    error = logits.float().softmax(dim=1) - F.one_hot(labels, logits.shape[1])  # (B, C)
    distance: Tensor = torch.linalg.vector_norm(error, dim=1)
    return distance


class ImageScores(Callback):
    """Writes the EL2N score of each training image, shown as in an evaluation, to a file: that of the last one stays.

    The authors take the mean over several networks in an early epoch; this is of one network. Nothing is written where
    `data.keep` leaves images out: the network was not trained on them. It costs the first process a forward pass of the
    training images.

    Args:
        file: Its folder is made if absent.
    """

    def __init__(self, file: str | Path) -> None:
        self._file = Path(file)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score the images and replace the file."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if trainer.sanity_checking or not trainer.is_global_zero or not data.keeps_all:
            return
        device, scores = trainer.strategy.root_device, torch.empty(data.num_images("train"))
        precision: EvalPrecision = pl_module.eval_precision  # type: ignore[assignment]
        with preserve(pl_module), torch.no_grad(), full_precision(device, precision):
            for batch in data.scored_dataloader():
                moved = trainer.strategy.batch_to_device(batch, device)
                found = el2n(pl_module(moved.images), moved.labels)  # the bare module: others do not wait
                scores[moved.indices.cpu()] = found.cpu()
        content = data.el2n_table(scores.tolist())
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._file, lambda file: file.write(content))
