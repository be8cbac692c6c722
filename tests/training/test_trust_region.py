"""The trust region: by hand, as the module makes its second pass, and what that leaves as it was."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from torch import nn
from torch.nn import functional as F

from unseen.backbones.timm import TimmSpec
from unseen.training import SeenClassifier
from unseen.training.losses import TrustRegionLoss
from unseen.training.module import LabelledImages

BATCH = LabelledImages(
    torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
    torch.tensor([0, 1, 2] * 2),
    torch.arange(6),
)
SMALL = {"channels": [8, 8, 16, 16], "layers": [1, 1, 1, 1]}
SPEC = TimmSpec("resnet18", options=SMALL)  # without dropout
WITH_DROPOUT = TimmSpec("resnet18", options=SMALL | {"drop_rate": 0.5})


def test_the_penalty_by_hand() -> None:
    """p = (3/4, 1/4), q = (1/2, 1/2): KL(p || q) = .1308, KL(q || p) = .1438, sum = ln(3) / 4; twice the weight."""
    first = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    second = torch.zeros(2, 2)
    p, q = first.softmax(1), second.softmax(1)
    by_hand = F.kl_div(q.log(), p, reduction="none").sum(1) + F.kl_div(p.log(), q, reduction="none").sum(1)
    assert by_hand.tolist() == pytest.approx([math.log(3) / 4, 0])
    assert float(TrustRegionLoss(2)(first, torch.tensor([0, 0]))) == pytest.approx(
        (math.log(4 / 3) + math.log(2)) / 2
    )
    assert float(TrustRegionLoss(2).penalty(first, second)) == pytest.approx(2 * math.log(3) / 4 / 2)
    assert float(TrustRegionLoss(2).penalty(second, first)) == pytest.approx(2 * math.log(3) / 4 / 2)
    assert float(TrustRegionLoss(2).penalty(first + 7, first)) == pytest.approx(
        0, abs=1e-6
    )  # the same answers
    far = torch.tensor([[1000.0, 0.0]])
    assert float(TrustRegionLoss(1).penalty(far, -far)) == pytest.approx(2000)  # finite where softmax is 0
    assert TrustRegionLoss(1).penalty(first.bfloat16(), second.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"weight": -1}, "weight=-1 must be a number of at least 0"),
        ({"weight": math.inf}, "weight=inf must be a number of at least 0"),
        ({"noise": 0}, "noise=0 must be a number above 0"),
        ({"noise": math.nan}, "noise=nan must be a number above 0"),
    ],
)
def test_what_is_no_weight_or_noise_is_refused(settings: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TrustRegionLoss(**settings)


class _Asked(SeenClassifier):
    """Keeps what each pass of a step got and gave."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.passes: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.backbone.register_forward_hook(lambda _, images, logits: self.passes.append((images[0], logits)))


def one_step(loss: nn.Module, spec: TimmSpec = SPEC, kind: type[SeenClassifier] = SeenClassifier) -> Any:
    """A module after one step of SGD with a learning rate of 1, from weights that are always the same."""
    seed_everything(0, verbose=False)
    module = kind(
        spec.build(3, 32), loss=loss, optimizer=lambda weights: torch.optim.SGD(weights, lr=1.0), scheduler=_constant,
        seed=3, log_steps=1,
    )  # fmt: skip
    trainer = Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader([BATCH], batch_size=None))
    return module


def _constant(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


def test_a_step_is_that_of_the_sum_written_out() -> None:
    module = one_step(TrustRegionLoss(5, noise=0.3), kind=_Asked)
    (images, logits), (noisy, of_noisy) = module.passes
    assert torch.equal(images, BATCH.images)
    noise = (noisy - images).detach()
    assert abs(float(noise.mean())) < 0.01  # of 18,432 values
    assert float(noise.std()) == pytest.approx(0.3, rel=0.03)
    p, q = logits.softmax(1), of_noisy.softmax(1)
    by_hand = F.cross_entropy(logits, BATCH.labels) + 5 * ((p - q) * (p.log() - q.log())).sum(1).mean()
    assert float(module.trainer.callback_metrics["train/loss"]) == pytest.approx(by_hand.item())

    seed_everything(0, verbose=False)
    network = SPEC.build(3, 32).train()
    p_logits, q_logits = network(images.detach()), network(noisy.detach())
    p, q = p_logits.softmax(1), q_logits.softmax(1)
    (F.cross_entropy(p_logits, BATCH.labels) + 5 * ((p - q) * (p.log() - q.log())).sum(1).mean()).backward()
    for name, weight in network.named_parameters():
        expected = weight.detach() - weight.grad
        torch.testing.assert_close(
            module.backbone.get_parameter(name), expected, rtol=1e-3, atol=1e-5, msg=name
        )


def test_statistics_are_those_of_the_images_without_noise() -> None:
    plain, module = one_step(nn.CrossEntropyLoss()), one_step(TrustRegionLoss(5, noise=1.0))
    buffers = dict(plain.backbone.named_buffers())
    assert any(name.endswith("running_mean") for name in buffers)
    for name, value in module.backbone.named_buffers():
        assert torch.equal(value, buffers[name]), name


def test_both_passes_have_the_same_dropout() -> None:
    module = one_step(TrustRegionLoss(1, noise=1e-6), WITH_DROPOUT, _Asked)
    (_, logits), (_, of_noisy) = module.passes
    torch.testing.assert_close(of_noisy, logits, atol=1e-3, rtol=0)
    with torch.no_grad():
        first, second = (module.backbone(BATCH.images) for _ in range(2))
    assert (first - second).abs().max() > 1e-2  # else there would be none to share


def test_without_weight_a_step_is_that_of_cross_entropy_bit_for_bit() -> None:
    plain = one_step(nn.CrossEntropyLoss(), WITH_DROPOUT)
    module = one_step(TrustRegionLoss(0), WITH_DROPOUT, _Asked)
    assert len(module.passes) == 1
    for name, weight in module.backbone.named_parameters():
        assert torch.equal(weight, plain.backbone.get_parameter(name)), name
