"""Pruning: the smallest weights of the pretrained network are 0 before the first step, and stay so."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from unseen.backbones.head import head_of


class MagnitudePruning(Callback):
    """Fine-tunes a network without its smallest weights, of all convolutions and linear layers but the head.

    The scores before the first step are those of the whole network. Checkpoints hold weights under their own names, 0
    where they are pruned, so that everything reads them; torch's and Lightning's pruning would have masks beside them,
    and do not take weights with the channels innermost. A resumed run prunes the same weights, as those are 0.

    Args:
        amount: Share of the weights that are pruned, in (0, 1).

    Raises:
        ValueError: Another share.
    """

    def __init__(self, amount: float) -> None:
        if not 0 < amount < 1:
            raise ValueError(f"amount={amount} must be between 0 and 1, without both")
        self.amount = amount
        self._kept: list[tuple[Tensor, Tensor]] = []  # weights, and where they are kept

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the weights and set them to 0; a checkpoint to go on from has been read by now."""
        backbone: Any = pl_module.backbone
        head = head_of(backbone)
        weights = [
            module.weight
            for module in backbone.modules()
            if isinstance(module, nn.Conv2d | nn.Linear) and module is not head
        ]
        with torch.no_grad():
            magnitudes = torch.cat([weight.abs().flatten() for weight in weights])
            largest_pruned = magnitudes.kthvalue(max(1, round(self.amount * len(magnitudes)))).values
            self._kept = [(weight, weight.abs() > largest_pruned) for weight in weights]
            for weight, kept in self._kept:
                weight.mul_(kept)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Set them to 0 again, whatever the optimiser did."""
        with torch.no_grad():
            for weight, kept in self._kept:
                weight.mul_(kept)
