"""Score a network without training it."""

from __future__ import annotations

from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from unseen.run_folder import RunFolder


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
    try:
        trainer.validate(module, datamodule, verbose=False)
    except SystemExit:
        if trainer.interrupted:  # Lightning turns Ctrl-C into an exit
            raise KeyboardInterrupt from None
        raise
    if trainer.is_global_zero:
        run_folder.write_summary("finished")
