"""One protocol for every network: the promised names at both sizes, and timm models that nobody listed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from tests.torch_modes import filled_memory
from torch import Tensor, nn

from unseen.backbones.protocol import Backbone, prefers_channels_last
from unseen.backbones.taps import first_tensor, pool, record_taps

LITE = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
NAMES = ["resnet", "vit", "swin", "pvt", "cvt", "poolformer", "convnext", *LITE, "timm"]
LAYERS = {"resnet": 5, "vit": 13, "swin": 5, "pvt": 9, "cvt": 3, "poolformer": 4, "convnext": 5}
LAYERS |= {**dict.fromkeys(LITE, 9), "timm": 5}

Build = Callable[..., Backbone]


@pytest.fixture(scope="module")
def build(compose_model: Callable[..., Any]) -> Build:
    """The untrained network of a promised name."""

    def built(name: str, size: str, num_classes: int, image_size: int) -> Backbone:
        config = compose_model(name, size, "model.pretrained=false")
        return instantiate(config.backbone).build(num_classes, image_size)

    return built


def check_taps(backbone: Backbone, name: str) -> None:
    taps = backbone.taps
    assert len(taps) == LAYERS[name]
    assert [tap.layer for tap in taps] == list(range(len(taps)))
    assert len({tap.name for tap in taps}) == len(taps)
    assert [tap.depth for tap in taps] == [tap.layer / (len(taps) - 1) for tap in taps]
    order: list[str] = []
    handles = [
        backbone.network.get_submodule(tap.name).register_forward_hook(
            lambda _module, _inputs, _output, name=tap.name: order.append(name)
        )
        for tap in taps
    ]
    with torch.no_grad():
        backbone.eval()(
            torch.zeros(2, 3, backbone.image_size, backbone.image_size, device=device_of(backbone))
        )
    for handle in handles:
        handle.remove()
    assert order == [tap.name for tap in taps]  # shallow to deep, each once


def device_of(backbone: Backbone) -> torch.device:
    return next(backbone.parameters()).device


@pytest.mark.parametrize("name", NAMES)
def test_demo(name: str, build: Build) -> None:
    image_size = 32
    torch.manual_seed(0)
    backbone = build(name, "demo", 7, image_size)
    assert (backbone.num_classes, backbone.image_size) == (7, image_size)
    if name in LAYERS and name not in (*LITE, "timm"):
        assert sum(parameter.numel() for parameter in backbone.parameters()) <= 3_000_000
    check_taps(backbone, name)

    images = torch.randn(3, 3, image_size, image_size)
    raw: dict[str, Tensor] = {}
    handles = [
        backbone.network.get_submodule(tap.name).register_forward_hook(
            lambda _module, _inputs, output, name=tap.name: raw.update({name: first_tensor(output).clone()})
        )
        for tap in backbone.taps
    ]
    with torch.no_grad():
        plain = backbone.eval()(images)
    for handle in handles:
        handle.remove()

    with record_taps(backbone, "auto") as recorder:
        logits = backbone(images)
        embeddings = recorder.take()
    assert logits.shape == (3, 7)
    torch.testing.assert_close(logits, plain)
    for tap, embedding in zip(backbone.taps, embeddings, strict=True):
        assert embedding.isfinite().all()
        torch.testing.assert_close(embedding, pool(raw[tap.name], tap, "auto"))

    # Every weight learns; CvT's last class token is a query that PyTorch reaches too.
    nn.functional.cross_entropy(backbone.train()(images), torch.tensor([0, 1, 6])).backward()
    without = [name for name, weight in backbone.named_parameters() if weight.grad is None]
    assert without == []

    other = build(name, "demo", 7, image_size)
    other.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(images), backbone.eval()(images))


@pytest.mark.parametrize("name", NAMES)
def test_no_network_reads_memory_that_nobody_wrote(name: str, build: Build) -> None:
    torch.manual_seed(0)
    backbone, images = build(name, "demo", 7, 32).train(), torch.randn(3, 3, 32, 32)

    def step() -> list[Tensor]:
        torch.manual_seed(1)  # of drop path
        loss = nn.functional.cross_entropy(backbone(images), torch.tensor([0, 1, 6]))
        return [loss, *torch.autograd.grad(loss, list(backbone.parameters()))]

    plain = step()
    with filled_memory():
        filled = step()
    assert all(map(torch.equal, plain, filled))


@pytest.mark.parametrize("name", NAMES)
def test_demo_at_64_pixels(name: str, build: Build) -> None:
    backbone = build(name, "demo", 7, 64).eval()
    with torch.no_grad(), record_taps(backbone, "mean") as recorder:
        assert backbone(torch.randn(2, 3, 64, 64)).isfinite().all()
        assert len(recorder.take()) == LAYERS[name]


@pytest.mark.parametrize("name", NAMES)
def test_paper_size(name: str, paper_on_meta: Callable[[str], Backbone]) -> None:
    backbone = paper_on_meta(name)
    check_taps(backbone, name)
    images = torch.zeros(2, 3, 224, 224, device="meta")
    with record_taps(backbone, "auto") as recorder:
        logits = backbone.train()(images)
        embeddings = recorder.take()
    assert logits.shape == (2, 15)
    assert all(embedding.shape[0] == 2 and embedding.ndim == 2 for embedding in embeddings)
    logits.sum().backward()
    assert all(weight.grad is not None for weight in backbone.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_configuration_carries_what_training_needs(name: str, compose_model: Callable[..., Any]) -> None:
    for size in ("demo", "paper"):
        config = compose_model(name, size)
        assert config.name == ("convnextv2_atto" if name == "timm" else name)
        assert config.pooling == "auto"
        # The paper trains ResNet for five epochs, the others for the recipe's number.
        assert config.schedule_epochs == (5 if (name, size) == ("resnet", "paper") else None)
        spec = instantiate(config.backbone)
        assert spec.pretrained is (name in LITE)
        # The original ViT weights and those of EfficientNet-Lite want pixels in -1..1.
        assert spec.mean[0] == (0.5 if name in {*LITE, "vit"} else 0.485)
        assert len(spec.std) == 3
    assert instantiate(compose_model(name, "paper", pretrained=True).backbone).pretrained is True


def test_a_new_head_follows_the_global_seed(build: Build) -> None:
    def head(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return build("resnet", "demo", 7, 32).network.fc.weight.detach()

    assert torch.equal(head(0), head(0))
    assert not torch.equal(head(0), head(1))


@pytest.mark.parametrize("name", ["vit", "pvt"])
def test_checking_draws_nothing_from_the_global_generator(
    name: str, compose_model: Callable[..., Any]
) -> None:
    spec = instantiate(compose_model(name, "demo").backbone)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    spec.check(32)
    assert torch.equal(torch.get_rng_state(), before)


def test_naming_a_network_imports_no_torch() -> None:
    code = (
        "import sys; from unseen.backbones.timm import TimmSpec; from unseen.backbones.transformers import "
        "TransformersSpec; TimmSpec('resnet18'); TransformersSpec('pvt', 'x', ['y']); "
        "print([name for name in ('torch', 'timm', 'transformers') if name in sys.modules])"
    )
    source = Path(__file__).parents[2] / "src"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_networks_that_convolve_get_channels_last(name: str, build: Build) -> None:
    """Transformers on patches gain nothing from it, CvT convolves before it attends; timm's default is a ConvNeXt."""
    assert prefers_channels_last(build(name, "demo", 5, 64)) == (name not in {"vit", "swin", "pvt"})
