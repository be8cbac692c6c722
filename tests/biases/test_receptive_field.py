"""Spread of the gradient: counted by hand, and the Gaussian field of stacked uniform filters (arXiv 1701.04128)."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unseen.biases.measure import Batch, Classifier, Measure
from unseen.biases.receptive_field import ReceptiveField


def share_of(measure: ReceptiveField, classifier: Classifier, images: Tensor) -> list[list[float]]:
    labels = torch.zeros(len(images), 1, dtype=torch.long)
    found: list[list[float]] = measure.observe(
        classifier, Batch(images, labels, torch.arange(len(images)))
    ).tolist()
    return found


@pytest.mark.parametrize(("share", "pixels"), [(0.5, 2), (0.7, 2), (0.71, 3), (0.4, 1), (0.95, 4)])
def test_strongest_pixels_that_hold_the_share(share: float, pixels: int) -> None:
    """Gradients 1, -3, 2, -4 of four pixels: 4 + 3 of 10 are the strongest two."""
    weights = torch.zeros(2, 3, 2, 2)
    weights[1, 0] = torch.tensor([[1.0, -3], [2, -1]])
    weights[1, 2, 1, 1] = -3  # channels are added by their absolute values

    def classify(images: Tensor) -> Tensor:
        return torch.einsum("bchw,kchw->bk", images, weights) + torch.tensor([0.0, 100])

    images = torch.rand(3, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    measure = ReceptiveField(share)
    assert isinstance(measure, Measure)
    assert share_of(measure, classify, images) == [[pixels / 4, 1]] * 3


def test_the_field_of_stacked_uniform_filters_is_gaussian() -> None:
    """n filters of k x k: variance n (k^2 - 1) / 12 each way. Half of a Gaussian is within an area of 2 pi ln 2 s^2."""
    n, k, size = 20, 3, 65
    variance = n * (k**2 - 1) / 12
    layers = nn.Sequential(*(nn.Conv2d(1, 1, k, padding=1, bias=False) for _ in range(n)))
    for layer in layers:
        nn.init.constant_(layer.weight, 1 / k**2)

    def classify(images: Tensor) -> Tensor:
        center = layers(images.mean(dim=1, keepdim=True))[:, 0, size // 2, size // 2]
        return torch.stack([center, -center], dim=1)

    ((found, _),) = share_of(ReceptiveField(), classify, torch.rand(1, 3, size, size))
    area = 2 * math.pi * math.log(2) * variance
    assert found * size**2 == pytest.approx(area, abs=4)  # 58 pixels, counted in whole ones on a lattice
    assert all(layer.weight.grad is None for layer in layers)


def test_a_score_that_hangs_on_no_pixel_is_left_out() -> None:
    images = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])

    def classify(images: Tensor) -> Tensor:
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([(mean - 0.5).clamp(min=0), torch.zeros_like(mean) - 1], dim=1)

    with torch.no_grad():  # as a loop over images may be
        numbers = share_of(ReceptiveField(), classify, images)
    assert numbers == [[0, 0], [0.5, 1]]
    values = ReceptiveField().values(np.array([np.mean(numbers, axis=0), [0, 0]]))["receptive_field"]
    assert values == pytest.approx([0.5, math.nan], nan_ok=True)


def test_the_size_of_the_score_and_of_the_batch_changes_nothing() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    whole = share_of(ReceptiveField(), model, images)
    assert share_of(ReceptiveField(), model, images[:2]) == whole[:2]
    assert share_of(ReceptiveField(), lambda x: 1e3 * model(x), images) == whole
    assert not images.requires_grad
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        ReceptiveField(share)
