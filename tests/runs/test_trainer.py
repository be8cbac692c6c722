"""The trainer that the configuration describes."""

import pytest
import torch
import torch.utils.deterministic
from lightning.pytorch.plugins import AsyncCheckpointIO
from tests.torch_modes import same_modes_afterwards

from unseen.runs.errors import UserError
from unseen.runs.trainer import _half_precision, check_trainer, make_trainer
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


@pytest.mark.parametrize(("has_bfloat16", "precision"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_half_precision_is_bfloat16_where_the_gpu_computes_in_it(
    has_bfloat16: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    assert _half_precision() == precision


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


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"accelerator": "mps"}, "MPSAccelerator"),
        ({"accelerator": "tpu"}, "torch_xla"),  # a library that is missing
        ({"strategy": "fsdp"}, "fsdp"),
        ({"strategy": "deepspeed"}, "DeepSpeed"),
        ({"strategy": "ddp_spawn"}, "use trainer.strategy=ddp"),
        ({"strategy": "ddp_notebook"}, "use trainer.strategy=ddp"),  # would wait for ever
        ({"profiler": "no-such"}, "profiler"),
        ({"devices": [0]}, "devices"),
    ],
)
def test_what_this_machine_cannot_do_is_one_sentence(settings: dict[str, object], names: str) -> None:
    if settings.get("accelerator") == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has what the test asks for in vain")
    with same_modes_afterwards(), pytest.raises(UserError, match=names) as told:
        check_trainer(SETTINGS | settings)
    assert "\n" not in str(told.value)
