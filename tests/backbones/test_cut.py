"""A network cut after a layer gives that layer's embeddings, with fewer weights; what each layer costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from tests.backbones.test_protocol import LITE, NAMES
from torch import Tensor, nn

from unseen.backbones.cut import cut, unneeded
from unseen.backbones.layer_costs import BATCH, layer_costs
from unseen.backbones.protocol import Backbone, Tap
from unseen.backbones.taps import record_taps
from unseen.backbones.tuning import adapter, lora
from unseen.wording import count

HALF = (0.5, 0.5, 0.5)


def embeddings_of(backbone: Backbone, images: Tensor) -> list[Tensor]:
    with torch.no_grad(), record_taps(backbone, "auto") as recorder:
        backbone.eval()(images)
        return recorder.take()


def size(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LITE[1:]])
def test_every_layer_of_every_network(name: str, compose_model: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    spec = instantiate(compose_model(name, "demo", "model.pretrained=false").backbone)
    backbone = spec.build(7, 32)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    images = torch.randn(3, 3, 32, 32)
    embeddings, sizes = embeddings_of(backbone, images), []
    backbone.train()
    layers = {0, len(backbone.taps) // 2, len(backbone.taps) - 1}
    for layer in sorted(layers):
        made = cut(backbone, layer)
        assert not made.training
        with torch.no_grad():
            assert torch.allclose(made(images), embeddings[layer], atol=1e-5)
        sizes.append(size(made))
        # weights have the names of a checkpoint, and a fresh network takes them
        stored = {f"backbone.{key}": value for key, value in before.items()}
        assert made.state_dict().keys() <= stored.keys()
        fresh = cut(spec.build(7, 32), layer)
        assert fresh.load_state_dict(stored, strict=False).missing_keys == []
        with torch.no_grad():
            assert torch.allclose(fresh(images), embeddings[layer], atol=1e-5)
    assert sizes == sorted(sizes)
    assert sizes[-1] < size(backbone)  # the head is gone
    assert backbone.training
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone.modules())


class Uncalled(nn.Module):
    """Attention whose output projection is read but never called, a branch beside, and a head."""

    def __init__(self, *, looks_ahead: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.blocks = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
        self.head = nn.Linear(8, 5)
        self.looks_ahead = looks_ahead

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images).flatten(2).mT
        if self.looks_ahead:
            x = x * self.head.bias.detach().sum()  # the head does not run, and no gradient tells
        x = x + self.attention(x, x, x)[0]
        assert len(self.blocks) == 2
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def small(**settings: Any) -> Backbone:
    taps = tuple(Tap(layer, f"blocks.{layer}", float(layer), "tokens") for layer in (0, 1))
    torch.manual_seed(0)
    return Backbone(Uncalled(**settings), taps, num_classes=5, image_size=16, mean=HALF, std=HALF)


def test_weights_that_are_read_without_a_call_stay_and_sizes_by_hand() -> None:
    backbone = small()
    assert unneeded(backbone.eval(), backbone.taps[0]) == ["network.blocks.1", "network.head"]
    made = cut(backbone, 0)
    # stem 3 x 64 x 8 + 8, attention 4 x (8 x 8 + 8), a block 8 x 8 + 8
    assert size(made) == 1544 + 288 + 72
    images = torch.randn(2, 3, 16, 16)
    assert torch.allclose(made(images), embeddings_of(backbone, images)[0])
    made(images).sum().backward()  # gradients flow
    assert made.backbone.network.stem.weight.grad is not None


def test_what_cannot_be_cut_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"layer=2 is not one of the network's layers 0\.\.1"):
        cut(small(), 2)
    with pytest.raises(ValueError, match=r"model\.pooling='max' is not one of"):
        cut(small(), 0, pooling="max")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"cannot be cut after layer 0 \(blocks\.0\), because it needs parts"
    ):
        cut(small(looks_ahead=True), 0)


@pytest.mark.parametrize("tuning", [adapter, lora])
def test_a_tuned_network_is_cut(
    tuning: Callable[[Backbone], None], compose_model: Callable[..., Any]
) -> None:
    torch.manual_seed(0)
    backbone = instantiate(compose_model("vit", "demo", "model.pretrained=false").backbone).build(7, 32)
    tuning(backbone)
    with torch.no_grad():
        for weight in backbone.parameters():
            weight.add_(0.01 * torch.randn_like(weight))  # adapters begin as nothing
    images = torch.randn(2, 3, 32, 32)
    made = cut(backbone, 1)
    with torch.no_grad():
        assert torch.allclose(made(images), embeddings_of(backbone, images)[1], atol=1e-5)
    trained = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    assert {name for name, weight in made.backbone.named_parameters() if weight.requires_grad} < trained


def test_costs_are_those_of_the_cut_networks() -> None:
    backbone = small().train()
    costs = layer_costs(backbone, torch.device("cpu"))
    assert costs.parameters == [size(cut(backbone, 0)), size(cut(backbone, 1))] == [1904, 1976]
    assert costs.all_parameters == size(backbone) == 2021
    assert 0 < costs.milliseconds[0] < costs.milliseconds[1] < costs.all_milliseconds
    assert (costs.batch, costs.image_size) == (BATCH, 16)
    assert costs.device == f"CPU with {count(torch.get_num_threads(), 'thread')}"
    assert backbone.training
    assert not any(module._forward_hooks for module in backbone.modules())
    assert set(asdict(costs)) == {
        "parameters", "all_parameters", "milliseconds", "all_milliseconds", "batch", "image_size", "device",
    }  # fmt: skip
