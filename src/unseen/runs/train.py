"""The main job: score, train, score again; every evaluation is on disk before the next step."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from unseen.callbacks.layer_probe import LayerProbe
from unseen.run_folder import RunFolder
from unseen.runs.trainer import finishing


def train(
    *,
    module: LightningModule,
    datamodule: LightningDataModule,
    trainer: Trainer,
    run_folder: RunFolder,
    probe: LayerProbe | None,
    probe_at_start: bool,
    checkpoint: Path | None = None,
) -> None:
    """Fine-tune and probe; leave a finished run folder.

    Args:
        module: The network with its head and optimiser.
        datamodule: Seen and unseen images.
        trainer: Runs it; `probe` is among its callbacks.
        run_folder: Told how it ends.
        probe: The callback that scores the layers; None trains without.
        probe_at_start: Score before the first step (not when resuming).
        checkpoint: Where to continue from.

    Raises:
        KeyboardInterrupt: The user stopped it; what was evaluated is on disk.
    """
    with finishing(run_folder, trainer):
        if probe_at_start and checkpoint is None:
            if probe is not None:
                probe.controls = False  # a later evaluation has them
            trainer.validate(module, datamodule, verbose=False)
        if probe is not None:
            probe.controls = True
        trainer.fit(module, datamodule, ckpt_path=checkpoint)
        if probe is not None and not probe.is_complete(trainer.global_step):
            trainer.validate(module, datamodule, verbose=False)
