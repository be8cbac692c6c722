"""Every network on a device that is not the CPU, without one: nothing it makes on the way may be on another device."""

from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from typing import Any, get_args

import pytest
import torch
from hydra.utils import instantiate
from tests.fake_cuda import fake_device, moved
from torch import Tensor, nn

from unseen.backbones.protocol import Backbone, prefers_channels_last
from unseen.backbones.taps import Pooling, record_taps
from unseen.training import SeenClassifier

NAMES = ["resnet", "vit", "swin", "pvt", "cvt", "poolformer", "convnext", "efficientnet_lite0"]
Classifier = Callable[[str, str], SeenClassifier]


@pytest.fixture(scope="module")
def on_meta(compose_model: Callable[..., Any], paper_on_meta: Callable[[str], Backbone]) -> Classifier:
    """on_meta("vit", "demo") -> the classifier that training would make, for 15 classes, without memory."""

    def built(name: str, size: str) -> SeenClassifier:
        if size == "paper":
            backbone = deepcopy(paper_on_meta(name))  # other tests have it, too
        else:
            with torch.device("meta"):
                spec = instantiate(compose_model(name, size, "model.pretrained=false").backbone)
                backbone = spec.build(15, 32)
        return SeenClassifier(backbone, channels_last=prefers_channels_last(backbone))

    return built


# The papers' networks are the same code, only larger, and cost seconds here: those two whose code asks for the size.
CASES = [
    *[pytest.param(name, "demo", torch.bfloat16, id=name) for name in NAMES],
    *[
        pytest.param(name, "paper", torch.float16, id=f"{name}-paper", marks=pytest.mark.slow)
        for name in ("vit", "swin")
    ],
]


@pytest.mark.parametrize(("name", "size", "dtype"), CASES)
def test_every_network_stays_on_its_device(
    name: str, size: str, dtype: torch.dtype, on_meta: Classifier
) -> None:
    module = on_meta(name, size)
    another = deepcopy(module).train()  # outside, because a fake tensor cannot be copied from a real one
    with fake_device():
        check_evaluation(moved(module.eval(), "cuda"), dtype)
        if size == "demo":
            check_training_step(moved(another, "lazy"), with_optimizer=name == "resnet")


def check_evaluation(module: SeenClassifier, dtype: torch.dtype) -> None:
    """A forward pass in half precision, and what every pooling reads from every layer."""
    backbone = module.backbone
    side, layers = backbone.image_size, len(backbone.taps)
    with torch.no_grad(), torch.autocast("cuda", dtype), ExitStack() as stack:
        recorders = [stack.enter_context(record_taps(backbone, pooling)) for pooling in get_args(Pooling)]
        logits = module(torch.zeros(2, 3, side, side, device="cuda"))
        assert (logits.device.type, logits.dtype, logits.shape) == ("cuda", dtype, (2, 15))
        for embeddings in (recorder.take() for recorder in recorders):
            assert [len(embedding) for embedding in embeddings] == [2] * layers
            assert {(each.device.type, each.dtype) for each in embeddings} == {("cuda", torch.float32)}


def check_training_step(module: SeenClassifier, *, with_optimizer: bool) -> None:
    """Loss and gradients; clipping and the optimizer's step are the same for every network."""
    side = module.backbone.image_size
    images = torch.zeros(2, 3, side, side, device="lazy")
    labels = torch.zeros(2, dtype=torch.long, device="lazy")
    nn.functional.cross_entropy(module(images), labels).backward()
    for weight in module.parameters():
        assert weight.grad is not None
        assert weight.grad.device.type == weight.device.type == "lazy"
    if with_optimizer:
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        torch.optim.AdamW(module.parameters(), lr=1e-3).step()


class Shifted(nn.Module):
    """A network that adds a constant of its own: a buffer, which moves with it, or one of three that do not."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.head = nn.Linear(12, 15)
        self.register_buffer("held", torch.ones(12))
        self.plain = torch.ones(12)

    def forward(self, images: Tensor) -> Tensor:
        made = {
            "buffer": lambda: self.held,
            "on the images' device": lambda: images.new_ones(12),
            "attribute": lambda: self.plain,
            "made on the CPU": lambda: torch.ones(12),
            "brought to the CPU": self.held.cpu,
        }[self.how]()  # fmt: skip
        return self.head(images.flatten(1) + made)


@pytest.mark.parametrize("device", ["cuda", "lazy"])
@pytest.mark.parametrize("how", ["attribute", "made on the CPU", "brought to the CPU"])
def test_a_tensor_on_the_wrong_device_is_found(how: str, device: str) -> None:
    with torch.device("meta"):
        right, wrong = Shifted("buffer"), Shifted(how)
    with fake_device():
        images = torch.zeros(2, 3, 2, 2, device=device)
        assert moved(right, device)(images).device.type == device
        with pytest.raises((RuntimeError, AssertionError), match=r"device|meta"):
            moved(wrong, device)(images)
