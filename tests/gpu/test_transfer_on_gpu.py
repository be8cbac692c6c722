"""transfer.py on a CUDA device: CLIP ViT-B/32 as published, with random weights; elsewhere skipped."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from tests.cli.conftest import Ran, run_command

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here"),
]
LINE = (
    "model=clip_vit_b32", "encoder.pretrained=null", "data=digits", "data.train_size=300", "data.test_size=200",
    "data.cache_gb=0", "draws=0",
)  # fmt: skip


def transfer(*arguments: str, logs: Path) -> Ran:
    ran = run_command("transfer.py", *LINE, *arguments, logs=logs, HF_HUB_OFFLINE="1")
    assert ran.code == 0, ran.out + ran.err
    return ran


def values(ran: Ran) -> dict[str, float]:
    with (ran.folder / "scores.csv").open(encoding="utf-8") as file:
        return {row["measure"]: float(row["value"]) for row in csv.DictReader(file) if row["value"]}


@pytest.mark.parametrize("tuning", ["full", "lora", "adapter"])
def test_an_encoder_is_measured_as_on_the_cpu_and_fine_tuned(tuning: str, tmp_path: Path) -> None:
    on_gpu = transfer("trainer=gpu", f"tuning={tuning}", "epochs=2", logs=tmp_path / "gpu")
    found = values(on_gpu)
    assert {"accuracy_after", "gain"} <= found.keys()
    assert json.loads((on_gpu.folder / "summary.json").read_text())["best_epoch"] in {1, 2}
    if tuning == "full":
        expected = values(transfer("trainer=cpu", "measure_only=true", logs=tmp_path / "cpu"))
        assert found["accuracy_before"] == pytest.approx(expected["accuracy_before"], abs=0.02)
        for name in ("iimm", "inter", "intra", "correct", "inter_text"):
            assert found[name] == pytest.approx(expected[name], abs=2e-3)
