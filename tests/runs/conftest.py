"""Small real parts: the digits, a small residual network, Lightning's trainer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

from unseen.backbones.timm import TimmSpec
from unseen.callbacks.last_checkpoint import LastCheckpoint
from unseen.callbacks.layer_probe import LayerProbe
from unseen.callbacks.progress import PhaseProgress
from unseen.data.datamodule import SeenUnseenDataModule
from unseen.data.selection import SelectionRule
from unseen.data.sources.digits import Digits
from unseen.data.transforms import View
from unseen.probes import ProbeSuite
from unseen.run_folder import RunFolder
from unseen.runs.console import console
from unseen.runs.trainer import make_trainer
from unseen.training import SeenClassifier

# dropout and drop path draw random numbers in training; batch norm has buffers: both could betray a probe
SPEC = TimmSpec(
    "resnet18",
    options={"channels": [8, 8, 16, 16], "layers": [1, 1, 1, 1], "drop_rate": 0.2, "drop_path_rate": 0.1},
)


@dataclass
class Small:
    """What one small run is made of."""

    module: SeenClassifier
    datamodule: SeenUnseenDataModule
    trainer: Trainer
    folder: RunFolder
    probe: LayerProbe | None

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.module.state_dict().items()}


def small(
    path: Path,
    *,
    max_steps: int = 6,
    probing: bool = True,
    seed: int = 0,
    probe_settings: dict[str, Any] | None = None,
    **trainer_settings: Any,
) -> Small:
    """Make a run of `max_steps` steps that evaluates every second one; an epoch is five batches."""
    seed_everything(seed, verbose=False)
    datamodule = SeenUnseenDataModule(
        Digits(),
        View(32, rotation=10, seed=seed),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        batch_size=16,
        rule=SelectionRule(train_size=70, test_size=40, unseen_per_class=12),
    )
    datamodule.setup()
    module = SeenClassifier(
        SPEC.build(datamodule.num_classes, 32),
        optimizer=partial(torch.optim.AdamW, lr=1e-3, weight_decay=0.0),
        seed=seed,
        provenance={"schema": 1},
    )
    folder = RunFolder(path, {"model": "resnet18", "data": "digits", "size": "demo", "seed": seed})
    folder.write_inputs(f"seed: {seed}\n", datamodule.split.to_dict())
    probe = LayerProbe(ProbeSuite(n_init=1, k=12), folder, **(probe_settings or {})) if probing else None
    settings = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "precision": "32-true"} | trainer_settings
    settings |= {"_target_": "lightning.pytorch.Trainer", "max_steps": max_steps}
    settings = {"val_check_interval": 2} | settings
    callbacks = [*([probe] if probe else []), PhaseProgress(console()), LastCheckpoint(path / "checkpoints")]
    trainer = make_trainer(settings, callbacks, [])
    return Small(module, datamodule, trainer, folder, probe)


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Six steps in one go, probed at 0, 2, 4 and 6."""
    from unseen.runs.trainer import train

    run = small(tmp_path_factory.mktemp("uninterrupted"))
    train(
        module=run.module,
        datamodule=run.datamodule,
        trainer=run.trainer,
        run_folder=run.folder,
        probe=run.probe,
        probe_at_start=True,
    )
    return run
