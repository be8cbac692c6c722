"""Networks of torchvision, and their weights from torch's own cache."""

from pathlib import Path

import pytest
import torch
from torchvision import models

from unseen.backbones.torchvision import TorchvisionSpec
from unseen.backbones.weights import WeightsUnavailable


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", 5),
        ("mobilenet_v3_small", 13),
        ("densenet121", 5),
        ("shufflenet_v2_x0_5", 4),
        ("swin_t", 8),
    ],
)
def test_its_layers_are_found_and_its_logits_are_those_of_the_classes(name: str, layers: int) -> None:
    spec = TorchvisionSpec(name)
    spec.check(64)
    backbone = spec.build(5, 64).eval()
    assert len(backbone.taps) == layers
    assert backbone(torch.zeros(2, 3, 64, 64)).shape == (2, 5)


def test_weights_come_from_the_cache_without_their_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loading is torchvision's own; the file in its cache is of a network of ours."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = models.get_model_weights("squeezenet1_0").DEFAULT
    donor = models.squeezenet1_0(num_classes=1000)
    cached = tmp_path / "hub" / "checkpoints" / weights.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(donor.state_dict(), cached)
    spec = TorchvisionSpec("squeezenet1_0", pretrained=True)
    network = spec.build(5, 64).network.state_dict()
    assert torch.equal(network["features.0.weight"], donor.state_dict()["features.0.weight"])
    assert network["classifier.1.weight"].shape[0] == 5
    assert spec.mean == tuple(weights.transforms().mean)


def test_weights_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsUnavailable, match=r"torchvision's squeezenet1_0 are not in .*TORCH_HOME"):
        TorchvisionSpec("squeezenet1_0", pretrained=True).build(5, 64)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (TorchvisionSpec("resnt18"), r"is not a classifier of torchvision \(did you mean resnet18"),
        (TorchvisionSpec("resnet18", options={"num_classes": 3}), r"use data\.num_labels"),
        (TorchvisionSpec("resnet18", options={"foo": 3}), "foo"),
        (TorchvisionSpec("mnasnet0_5", options={"weights": "x"}), r"use model\.pretrained"),
    ],
)
def test_mistakes(spec: TorchvisionSpec, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        spec.check(64)
