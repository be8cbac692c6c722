"""The trainer that the configuration describes."""

import pytest
import torch
import torch.utils.deterministic
from lightning.pytorch.plugins import AsyncCheckpointIO
from tests.torch_modes import same_modes_afterwards

from unseen.runs.trainer import make_trainer
from unseen.training.checkpoint_files import StreamedCheckpointIO

SETTINGS = {
    "_target_": "lightning.pytorch.Trainer",
    "accelerator": "cpu",
    "devices": 1,
    "num_nodes": 1,
    "precision": "auto",
    "max_steps": 1,
    "val_check_interval": 1.0,
    "deterministic": "warn",
}


@pytest.mark.parametrize(
    "strategy",
    ["auto", {"_target_": "lightning.pytorch.strategies.DDPStrategy", "process_group_backend": "gloo"}],
)
def test_checkpoints_are_streamed(strategy: object) -> None:
    with same_modes_afterwards():
        trainer = make_trainer(SETTINGS | {"strategy": strategy}, [], [])
        assert isinstance(trainer.strategy.checkpoint_io, StreamedCheckpointIO)


def test_another_way_to_save_is_left() -> None:
    other = {"_target_": "lightning.pytorch.plugins.AsyncCheckpointIO"}
    with same_modes_afterwards():
        trainer = make_trainer(SETTINGS | {"plugins": [other]}, [], [])
        assert isinstance(trainer.strategy.checkpoint_io, AsyncCheckpointIO)


def test_deterministic_mode_fills_no_memory() -> None:
    with same_modes_afterwards():
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True
        make_trainer(SETTINGS, [], [])
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
