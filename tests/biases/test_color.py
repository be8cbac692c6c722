"""Grey images have the lightness of the colour ones (scikit-image's CIE L*), and no colour."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from unseen.biases.color import ColorDependence, grey
from unseen.biases.measure import Batch, Measure


def test_lightness_stays_and_color_goes() -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images[0] *= 0.05  # dark pixels are on the linear part of sRGB's curve
    found = grey(images)
    before, after = (rgb2lab(some.movedim(1, -1).numpy()) for some in (images, found))
    np.testing.assert_allclose(after[..., 0], before[..., 0], atol=0.01)  # L* in 0..100
    np.testing.assert_allclose(after[..., 1:], 0, atol=0.01)
    assert torch.equal(found[:, 0], found[:, 2])
    assert torch.allclose(grey(images[0]), found[0])


def test_grey_images_stay_and_pure_colors_have_their_luminance() -> None:
    levels = torch.linspace(0, 1, 256).expand(3, 1, 256)
    assert torch.allclose(grey(levels), levels, atol=1e-4)
    red, black = torch.tensor([1.0, 0, 0])[:, None, None], torch.zeros(3, 1, 1)
    # Y = .2126, 1.055 x .2126^(1 / 2.4) - .055 = .49844: 127 of 255, where luma (.299) would give 76
    assert torch.allclose(grey(red), torch.tensor(0.49844), atol=1e-4)
    assert torch.equal(grey(black), black)


def test_share_of_the_accuracy_that_color_gives() -> None:
    """A network that looks for more red than green, and one that looks for light: grey takes all, and nothing."""
    images = torch.tensor([[0.9, 0.1, 0.5], [0.8, 0.2, 0.1], [0.1, 0.2, 0.2]])[:, :, None, None].expand(
        3, 3, 4, 4
    )
    batch = Batch(images, torch.tensor([[1], [1], [0]]), torch.arange(3))
    measure = ColorDependence()
    assert isinstance(measure, Measure)

    def more_red(images: torch.Tensor) -> torch.Tensor:
        excess = (images[:, 0] - images[:, 1]).mean((1, 2))
        return torch.stack([torch.full_like(excess, 0.01), excess], dim=1)

    def light(images: torch.Tensor) -> torch.Tensor:
        mean = images.mean((1, 2, 3))
        return torch.stack([torch.full_like(mean, 0.3), mean], dim=1)

    assert measure.observe(more_red, batch).tolist() == [[1, 0], [1, 0], [1, 1]]
    assert measure.observe(light, batch).tolist() == [[1, 1], [1, 1], [1, 1]]
    means = np.array([[1, 1 / 3], [1, 1], [0.5, 0.6], [0, 0]])
    assert measure.values(means)["color_dependence"] == pytest.approx([2 / 3, 0, -0.2, math.nan], nan_ok=True)
