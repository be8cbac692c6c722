"""The trainer that the configuration describes."""

import pytest
import torch
import torch.utils.deterministic
from lightning.pytorch.plugins import AsyncCheckpointIO
from tests.torch_modes import same_modes_afterwards

from unseen.runs.errors import UserError
from unseen.runs.trainer import _half_precision, check_trainer, make_trainer, processes_to_fit, ranks_of
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
    with same_modes_afterwards(), pytest.raises(UserError, match=names) as told:
        check_trainer(SETTINGS | settings)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("devices", "accelerator", "environment", "expected"),
    [
        (1, "auto", {}, 1),
        (8, "cpu", {}, 8),
        ("2", "cpu", {}, 2),
        ([0, 3], "gpu", {}, 2),
        ("0,1,2", "gpu", {}, 3),
        ("auto", "cpu", {}, 1),
        ("auto", "gpu", {}, 4),
        (-1, "cuda", {}, 4),
        ("auto", "gpu", {"LOCAL_WORLD_SIZE": "8"}, 8),
        (8, "gpu", {"LOCAL_RANK": "3"}, 1),  # the first one has looked for all
        (8, "gpu", {"LOCAL_RANK": "0"}, 8),
        (8, "gpu", {"SLURM_LOCALID": "1"}, 1),
    ],
)
def test_processes_on_this_machine(monkeypatch, devices, accelerator, environment, expected):
    for name in ("LOCAL_RANK", "SLURM_LOCALID", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert processes_to_fit({"devices": devices, "accelerator": accelerator}) == expected


@pytest.mark.parametrize(
    ("devices", "nodes", "expected"), [(1, 1, 1), (8, 2, 16), ("2", 1, 2), ([0, 3], 1, 2), ("auto", 3, 3)]
)
def test_ranks_on_all_machines(devices, nodes, expected):
    assert ranks_of({"devices": devices, "accelerator": "cpu", "num_nodes": nodes}) == expected
