import pytest
import torch

from unseen.runs.machine_processes import processes_to_fit, ranks_of


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
