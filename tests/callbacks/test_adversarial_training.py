"""Adversarial training: by hand on a linear network, and without a trace but the images."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from unseen.backbones.protocol import Backbone
from unseen.callbacks.adversarial_training import AdversarialTraining
from unseen.training import SeenClassifier
from unseen.training.module import LabelledImages

MEAN, STD = (0.5, 0.4, 0.3), (0.5, 0.25, 0.2)
SIZE = 4


class Linear(nn.Module):
    """Logits (s, -s), s being a weighted sum of the pixels; with a batch norm and dropout beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, affine=False)
        self.dropout = nn.Dropout()
        self.fc = nn.Linear(3 * SIZE * SIZE, 2, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.dropout(self.norm(images)).flatten(1))


@pytest.fixture
def module() -> SeenClassifier:
    torch.manual_seed(0)
    network = Linear()
    network.fc.weight.data[1] = -network.fc.weight.data[0]
    backbone = Backbone(network, (), num_classes=2, image_size=SIZE, mean=MEAN, std=STD)
    return SeenClassifier(backbone, seed=3)


def normalised(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def batch(images: Tensor, indices: list[int]) -> LabelledImages:
    labels = torch.tensor([index % 2 for index in indices])
    return LabelledImages(normalised(images), labels, torch.tensor(indices))


def attacked(module: SeenClassifier, given: LabelledImages, epoch: int = 0, **settings: float) -> Tensor:
    callback = AdversarialTraining(**{"epsilon": 8, "step": 8, "steps": 2} | settings)
    callback.on_train_batch_start(SimpleNamespace(current_epoch=epoch), module, given, 0)
    return given.images * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)


def test_every_pixel_goes_to_its_bound_against_the_gradient(module: SeenClassifier) -> None:
    images = torch.rand(2, 3, SIZE, SIZE)
    images[0, 0, 0, 0], images[0, 0, 0, 1] = 0.0, 1.0  # bounds of the range
    moved = attacked(module, batch(images, [0, 1]))
    up = module.backbone.network.fc.weight[0].view(3, SIZE, SIZE).sign()  # more of it: class 0
    by_hand = images + 8 / 255 * torch.stack([-up, up])  # away from class 0, away from class 1
    torch.testing.assert_close(moved, by_hand.clamp(0, 1), atol=1e-6, rtol=0)


def test_nothing_else_is_touched(module: SeenClassifier) -> None:
    before = {name: value.clone() for name, value in module.state_dict().items()}
    attacked(module, batch(torch.rand(2, 3, SIZE, SIZE), [0, 1]))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert module.training
    assert module.backbone.network.norm.training


def test_the_start_is_drawn_by_seed_epoch_and_index(module: SeenClassifier) -> None:
    images = torch.full((2, 3, SIZE, SIZE), 0.5)
    small = {"step": 1, "steps": 1}  # so that where it began is seen
    both = attacked(module, batch(images, [4, 6]), **small)
    assert not torch.equal(both[0], both[1])
    alone = attacked(module, batch(images[:1], [6]), **small)
    torch.testing.assert_close(alone[0], both[1])
    assert not torch.equal(attacked(module, batch(images, [4, 6]), epoch=1, **small), both)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epsilon": 0}, r"epsilon=0 must be in \(0, 255\]"),
        ({"step": 256}, r"step=256 must be in \(0, 255\]"),
        ({"steps": 0}, "steps=0 must be at least 1"),
    ],
)
def test_what_is_no_attack_is_refused(settings: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AdversarialTraining(**{"epsilon": 4, "step": 2, "steps": 3} | settings)
