"""The checkpoint that belongs to the latest scores."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint


class LastCheckpoint(Checkpoint):
    """Writes `last.ckpt` after every evaluation: before training, in it, and after it.

    Lightning's ModelCheckpoint writes while a network is being trained only, so the scores before the first step and
    those of a last evaluation outside training would belong to no file. Its place is behind all other callbacks, whose
    state it stores.

    Args:
        dirpath: Folder of the checkpoints; made if absent.

    Attributes:
        step: Optimiser steps of the checkpoint on disk; None before the first.
    """

    def __init__(self, dirpath: str | Path) -> None:
        self._file = Path(dirpath) / "last.ckpt"
        self.step: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the checkpoint that a run is resumed from, whose scores are in this folder, too."""
        if self.step is None and trainer.global_step > 0:
            if (
                Path(str(trainer.ckpt_path)).resolve() != self._file.resolve()
            ):  # else a later one may lie there
                trainer.save_checkpoint(self._file, weights_only=False)
            self.step = trainer.global_step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoint; called by every rank, and rank 0 writes."""
        if trainer.sanity_checking:
            return
        trainer.save_checkpoint(self._file, weights_only=False)
        self.step = trainer.global_step
