"""Loggers get an evaluation at the optimiser steps that were done before it, as scores.csv has it."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer


class StepAxis(Callback):
    """Names the step of every evaluation; Lightning alone names the last batch, one less, or 0 without training.

    Args:
        at: Step and epoch where the trainer does not know them (a checkpoint that is scored without training).
    """

    def __init__(self, at: tuple[int, int] | None = None) -> None:
        self._at = at

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log `step`, which Lightning takes for the step of all that is logged with it, and the epoch it then omits."""
        step, epoch = self._at or (trainer.global_step, trainer.current_epoch)
        pl_module.log_dict({"step": float(step), "epoch": float(epoch)}, batch_size=1)
