"""Score a network without training it."""

from __future__ import annotations

from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from unseen.run_folder import RunFolder
from unseen.runs.trainer import finishing


def evaluate(
    *, module: LightningModule, datamodule: LightningDataModule, trainer: Trainer, run_folder: RunFolder
) -> None:
    """Score every layer once, on seen test images and unseen ones, and leave a finished run folder.

    Args:
        module: The network, weights as they are to be scored.
        datamodule: Seen and unseen images.
        trainer: Has the probing callback.
        run_folder: Told how it ends.
    """
    with finishing(run_folder, trainer):
        trainer.validate(module, datamodule, verbose=False)
