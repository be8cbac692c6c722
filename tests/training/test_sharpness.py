"""Sharpness-aware minimisation: by hand, and as Lightning steps it."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from pytorch_optimizer import SAM
from tests.test_configs import resolved
from torch import nn
from torch.nn import functional as F

from unseen.backbones.timm import TimmSpec
from unseen.runs.trainer import check_passes, check_with_libraries
from unseen.training import SeenClassifier
from unseen.training.module import LabelledImages
from unseen.training.sharpness import SharpnessAware, sam

SPEC = TimmSpec("resnet18", options={"channels": [8, 8, 16, 16], "layers": [1, 1, 1, 1]})  # without dropout
BATCH = LabelledImages(
    torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
    torch.tensor([0, 1, 2] * 2),
    torch.arange(6),
)


def test_a_step_by_hand() -> None:
    """Loss (w1^2 + 4 w2^2) / 2 at (3, 1): g = (3, 4), |g| = 5; at w + g / 10 = (3.3, 1.4) it is (3.3, 5.6)."""
    weights = nn.Parameter(torch.tensor([3.0, 1.0]))
    optimizer = SharpnessAware([weights], torch.optim.SGD, rho=0.5, lr=0.1)
    at: list[list[float]] = []

    def closure() -> torch.Tensor:
        at.append(weights.tolist())
        optimizer.zero_grad()
        loss = (weights**2 * torch.tensor([1.0, 4.0])).sum() / 2
        loss.backward()
        return loss

    assert float(optimizer.step(closure)) == 6.5  # at the weights
    assert at == [[3.0, 1.0], pytest.approx([3.3, 1.4])]
    assert weights.tolist() == pytest.approx([3 - 0.33, 1 - 0.56])
    assert not optimizer.perturbed
    with pytest.raises(ValueError, match=r"rho=0 must be above 0"):
        sam([weights], lr=0.1, rho=0)


class _Losses(Callback):
    def __init__(self) -> None:
        self.logged: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.logged.append(float(trainer.callback_metrics["train/loss"]))


def test_lightning_steps_it() -> None:
    """Two steps are those of the library's SAM in a loop: one loss a step, statistics of the first pass."""
    torch.manual_seed(0)
    module = SeenClassifier(
        SPEC.build(3, 32), optimizer=partial(sam, lr=1e-3, rho=0.1), scheduler=_constant, log_steps=1
    )
    by_hand = copy.deepcopy(module.backbone).train()
    losses = _Losses()
    trainer = Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[losses], limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader([BATCH] * 2, batch_size=None))

    optimizer = SAM(by_hand.parameters(), torch.optim.AdamW, rho=0.1, lr=1e-3, weight_decay=0.0)
    expected = []
    for _ in range(2):
        loss = F.cross_entropy(by_hand(BATCH.images), BATCH.labels)
        expected.append(float(loss))
        loss.backward()
        kept = {name: value.clone() for name, value in by_hand.named_buffers()}

        def again() -> torch.Tensor:
            optimizer.zero_grad()
            second = F.cross_entropy(by_hand(BATCH.images), BATCH.labels)
            second.backward()
            return second

        optimizer.step(again)
        optimizer.zero_grad()
        for name, value in by_hand.named_buffers():
            value.copy_(kept[name])
    assert losses.logged == pytest.approx(expected)
    for name, value in module.backbone.named_parameters():
        torch.testing.assert_close(value, by_hand.get_parameter(name), msg=name)
    for name, value in module.backbone.named_buffers():
        if "num_batches" not in name:
            torch.testing.assert_close(value, by_hand.get_buffer(name), msg=name)
    assert trainer.global_step == 2
    state = trainer.optimizers[0].state_dict()["state"]
    assert {key for of_one in state.values() for key in of_one} == {"step", "exp_avg", "exp_avg_sq"}


def _constant(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


def test_what_has_one_pass_a_step_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"optimizer=sam takes two passes .* use trainer\.accumulate_grad_batches=1"
    ):
        check_with_libraries([resolved("optimizer=sam", "trainer=cpu", "trainer.accumulate_grad_batches=2")])
    plain = resolved("optimizer=sam", "trainer.precision=16-mixed")
    with pytest.raises(
        ValueError, match=r"trainer\.precision=16-mixed, which is 16-mixed here, scales gradients"
    ):
        check_passes(plain["model"]["optimizer"], plain["trainer"])
    for good in ("trainer.precision=bf16-mixed", "trainer.precision=32-true", "trainer=cpu"):
        plain = resolved("optimizer=sam", good)
        check_passes(plain["model"]["optimizer"], plain["trainer"])
    plain = resolved("trainer.precision=16-mixed")
    check_passes(plain["model"]["optimizer"], plain["trainer"])
