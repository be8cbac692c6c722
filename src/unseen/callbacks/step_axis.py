"""Loggers get an evaluation at the optimiser steps that were done before it, as scores.csv has it."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer


class StepAxis(Callback):
    """Names the step of every evaluation; Lightning alone names the last batch, one less, or 0 without training.

    Args:
        at_step: The step where the trainer does not know it (a checkpoint that is scored without training).
    """

    def __init__(self, at_step: int | None = None) -> None:
        self._at_step = at_step

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log `step`, which Lightning takes for the step of all that is logged with it, and the epoch it then omits."""
        step = trainer.global_step if self._at_step is None else self._at_step
        pl_module.log_dict({"step": float(step), "epoch": float(trainer.current_epoch)}, batch_size=1)
