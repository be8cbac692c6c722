"""What a run says before anything slow; opening_line is shown by its examples."""

from pathlib import Path

import pytest
from lightning.pytorch import Trainer
from torch import nn

from unseen.runs.opening import network_line, opening_line


@pytest.mark.parametrize(
    ("length", "says"),
    [
        ((1, None, 1), "1 step, scored at the start and every step"),
        ((9, None, 1.0), "9 steps, scored at the start and every epoch"),
        ((-1, 2, 0.5), "2 epochs, scored at the start and every 0.5 epochs"),
        ((9, 2, 3), "9 steps or 2 epochs, scored at the start and every 3 steps"),
    ],
)
def test_a_run_says_from_where_and_how_long(length: tuple[int, int | None, float], says: str) -> None:
    trainer = dict(zip(("max_steps", "max_epochs", "val_check_interval"), length, strict=True))
    plain = {
        "model": {"name": "vit", "pretrained": True},
        "data": {"name": "digits"},
        "trainer": trainer,
        "seed": 1,
    }
    assert (
        opening_line(plain, training=True, checkpoint=None)
        == f"vit from pretrained weights on digits, seed 1: {says}"
    )
    resumed = opening_line(plain, training=True, checkpoint=Path("a/last.ckpt"))
    assert resumed.startswith("vit from last.ckpt on digits")


def test_parameters_that_train_are_counted() -> None:
    module = nn.Sequential(nn.Linear(9, 10), nn.Linear(10, 2))  # 100 and 22 parameters
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    assert network_line(module, trainer, training=True).startswith("122 parameters, all are trained · CPU, ")
    module[0].requires_grad_(False)
    assert network_line(module, trainer, training=True).startswith(
        "22 of 122 parameters are trained (18.03%) · CPU, "
    )
    assert network_line(module, trainer, training=False).startswith("122 parameters · CPU, ")
