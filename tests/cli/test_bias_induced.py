"""experiment=bias_induced: one sweep, each variant with its own training, kept in the checkpoints."""

from pathlib import Path

import pytest
import torch
from tests.cli.conftest import BARE, TINY, run_command


def zeros(folder: Path) -> float:
    """The share of the convolutions' weights that are 0."""
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=False)
    weights = [value for value in checkpoint["state_dict"].values() if value.ndim == 4]
    return float(torch.cat([weight.flatten() == 0 for weight in weights]).float().mean())


@pytest.mark.slow
def test_a_sweep_of_variants(tmp_path: Path) -> None:
    ran = run_command(
        "train.py", "-m", "experiment=bias_induced", "induce=adversarial,pruned", "model=resnet", *TINY,
        "trainer.max_steps=2", *BARE, logs=tmp_path,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    adversarial, pruned = sorted(ran.folders, key=lambda path: path.name)
    assert (adversarial.name, pruned.name) == ("induce-adversarial", "induce-pruned")
    assert zeros(adversarial) < 0.01
    assert abs(zeros(pruned) - 0.5) < 0.01


def test_without_a_choice_all_variants_are_swept(tmp_path: Path) -> None:
    ran = run_command("train.py", "-m", "experiment=bias_induced", "plan=true", logs=tmp_path)
    for name in ("plain", "noise", "blur", "high_pass", "patch_shuffle", "adversarial", "head", "pruned"):
        assert f"induce={name} " in ran.out, ran.out + ran.err
    assert "8 of 8 jobs would run" in ran.out
