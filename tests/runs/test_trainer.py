"""The trainer that the configuration describes."""

import torch
import torch.utils.deterministic
from tests.torch_modes import same_modes_afterwards

from unseen.runs.trainer import make_trainer

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


def test_deterministic_mode_fills_no_memory() -> None:
    with same_modes_afterwards():
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True
        make_trainer(SETTINGS, [], [])
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
