"""Networks of one's own."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from unseen.backbones.module import ModuleSpec
from unseen.backbones.taps import record_taps


class Net(nn.Module):
    """Two layers; the number of outputs, of pixels and the width come from outside."""

    def __init__(self, num_classes: int, image_size: int, width: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 2, 2)
        self.second = nn.Conv2d(width, width, 2, 2)
        self.head = nn.Linear(width * (image_size // 4) ** 2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        if float(images.sum()) == float("inf"):  # a decision on values, which the meta device cannot take
            raise ValueError("infinite")
        return self.head(self.second(self.first(images)).flatten(1))


def test_it_is_built_with_classes_image_size_and_options() -> None:
    spec = ModuleSpec(partial(Net), taps=["first", "second"], options={"width": 6}, mean=(0.1, 0.2, 0.3))
    spec.check(16)
    backbone = spec.build(5, 16)
    assert [(tap.name, tap.layout, tap.depth) for tap in backbone.taps] == [
        ("first", "nchw", 0.0),
        ("second", "nchw", 1.0),
    ]
    assert backbone.mean == (0.1, 0.2, 0.3)
    images = torch.rand(2, 3, 16, 16)
    with record_taps(backbone, "auto") as recorder:
        assert backbone(images).shape == (2, 5)
        first, second = recorder.take()
    assert torch.allclose(first, backbone.network.first(images).mean((2, 3)))
    assert second.shape == (2, 6)


def test_making_it_follows_the_global_seed_and_checking_does_not_move_it() -> None:
    spec = ModuleSpec(Net, taps=["first"])
    torch.manual_seed(3)
    one = spec.build(5, 16).network.head.weight
    torch.manual_seed(3)
    spec.check(32)
    assert torch.equal(one, spec.build(5, 16).network.head.weight)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            ModuleSpec(Net, options={"widht": 3}),
            "'Net' takes no argument 'widht'; it takes num_classes, image_size, w",
        ),
        (
            ModuleSpec(lambda width: nn.Identity(), name="mine"),
            "'mine' takes no argument 'num_classes'; it takes width",
        ),
        (ModuleSpec(Net, pretrained=True), "model.pretrained=true, but 'Net' is a module of your own"),
        (
            ModuleSpec(Net, taps=["third"]),
            "model 'Net': model.backbone.taps: 'third' matches no module that runs",
        ),
        (ModuleSpec(Net), "model 'Net': no layers found automatically, name them with model.backbone.taps"),
        (ModuleSpec("Net"), "model.backbone.network is not a class or function"),  # type: ignore[arg-type]
        (ModuleSpec(Net, taps=["first"], options={"width": "a"}), "'Net' cannot be built with .*width"),
    ],
)
def test_what_is_refused(spec: ModuleSpec, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        spec.check(16)


def test_a_size_that_it_cannot_take_is_refused_with_the_nearest_that_it_can() -> None:
    with pytest.raises(
        ValueError,
        match=r"'Net' cannot take data.image_size=15: .* the nearest sizes that it takes: 14 and 16",
    ):
        ModuleSpec(Net, taps=["first"]).check(15)
