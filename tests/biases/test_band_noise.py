"""Noise of one frequency band, held to pyrtools, and the images under it."""

from __future__ import annotations

import numpy as np
import pyrtools
import pytest
import torch
from PIL import Image
from torch import Tensor

from unseen.biases.band_noise import _generator, bands, frequencies, in_band, low_contrast, with_noise


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def white(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((height, width)) * 0.08


# ------------------------------------------------------------------ bands
# Sizes with a level of 5 px are left out: pyrtools treats its last row otherwise than its first.
@pytest.mark.parametrize("size", [(224, 224), (64, 64), (28, 28), (37, 50), (50, 37), (65, 63), (299, 224)])
def test_every_band_is_that_of_pyrtools(size: tuple[int, int]) -> None:
    noise = white(*size)
    pyramid = pyrtools.pyramids.LaplacianPyramid(noise)
    count = pyramid.num_scales
    assert bands(*size) == count
    finest = pyramid.recon_pyr(levels=0)
    for band in range(count):
        part = pyramid.recon_pyr(levels=count - 1 - band)
        found = in_band(torch.from_numpy(noise)[None, None], band)[0, 0]
        np.testing.assert_allclose(found, part * rms(finest) / rms(part), rtol=0, atol=1e-14)


def test_bands_have_the_reference_strengths_and_median_frequencies() -> None:
    """At 224 px, of default_rng(0) times 0.08: first pixel, and the frequency that halves the power."""
    first = (0.13062188, -0.10162349, 0.05872056, 0.08902047, 0.13216134, 0.08038102, -0.01536153)
    median = (1.4142, 2.0, 3.1623, 6.7082, 13.4536, 27.8029, 94.1329)
    away = np.fft.fftfreq(224, 1 / 224)
    radius = np.hypot(away[:, None], away)
    order = np.argsort(radius, axis=None)
    for band in range(7):
        found = in_band(torch.from_numpy(white(224, 224))[None, None], band)[0, 0].numpy()
        assert rms(found) == pytest.approx(0.07547222, abs=1e-8)
        assert found[0, 0] == pytest.approx(first[band], abs=1e-8)
        power = np.abs(np.fft.fft2(found)).ravel()[order] ** 2
        half = np.searchsorted(np.cumsum(power), power.sum() / 2)
        assert radius.ravel()[order][half] == pytest.approx(median[band], abs=1e-3)


def test_bands_of_an_image_size() -> None:
    """The finest is half a cycle per pixel; each is an octave below the next."""
    assert frequencies(224) == (1.75, 3.5, 7, 14, 28, 56, 112)
    assert frequencies(64) == (2, 4, 8, 16, 32)
    assert [bands(size, size) for size in (4, 5, 19, 20, 39, 40, 448)] == [1, 2, 3, 4, 4, 5, 8]
    assert bands(224, 64) == bands(64, 224) == 5
    for band in (-1, 5):
        with pytest.raises(ValueError, match=f"images of 64 × 64 px have the bands 0 to 4, not {band}"):
            in_band(torch.zeros(1, 1, 64, 64), band)


# ------------------------------------------------------------------ grey images
def test_grey_is_pillows() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    colours[0, 0, 0], colours[0, 0, 1] = 0, 255
    images = torch.from_numpy(colours).permute(0, 3, 1, 2) / 255
    for image, found in zip(colours, low_contrast(images), strict=True):
        grey = np.asarray(Image.fromarray(image).convert("L")) / 255
        np.testing.assert_allclose(found[0], (grey - grey.mean()) * 0.2 + 0.449, rtol=0, atol=1e-6)


def test_contrast_and_mean() -> None:
    """Half black, half white: 0.449 ± 0.1."""
    images = torch.zeros(1, 3, 8, 8)
    images[..., 4:] = 1
    found = low_contrast(images)
    torch.testing.assert_close(found[0, 0, 0, 3:5], torch.tensor([0.349, 0.549]))
    assert found.shape == (1, 1, 8, 8)


# ------------------------------------------------------------------ images under noise
def grey(count: int, size: int = 32) -> Tensor:
    return low_contrast(torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)))


def test_noise_is_that_of_the_image_and_the_condition_alone() -> None:
    images, indices = grey(40), torch.arange(40)
    together = with_noise(images, indices, 2, 0.08)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(together[order], with_noise(images[order], indices[order], 2, 0.08))
    for image in (0, 17, 39):
        alone = with_noise(images[image : image + 1], indices[image : image + 1], 2, 0.08)
        assert torch.equal(together[image : image + 1], alone)
    same = images[:1].expand(2, -1, -1, -1)
    others = [with_noise(same, torch.tensor([0, 1]), 2, 0.08)[1], *with_noise(same, torch.zeros(2), 3, 0.08)]
    others += [*with_noise(same, torch.zeros(2), 2, 0.08, seed=1), *with_noise(same, torch.zeros(2), 2, 0.09)]
    base = with_noise(same[:1], torch.zeros(1), 2, 0.08)[0]
    correlations = [
        float(np.corrcoef((base - same[0]).flatten(), (other - same[0]).flatten())[0, 1]) for other in others
    ]
    assert max(map(abs, correlations)) < 0.5  # 0.99 and more if it were the same noise


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with_noise(grey(2), torch.arange(2), 0, 0.16)
    assert torch.equal(before, torch.get_rng_state())


def test_noise_has_its_strength_before_pixels_are_moved() -> None:
    images = torch.full((30, 1, 64, 64), 0.5)
    for band in range(5):
        noise = with_noise(images, torch.arange(30), band, 0.04) - 0.5
        assert float(noise.square().mean().sqrt()) == pytest.approx(0.943 * 0.04, rel=0.01)


def test_pixels_that_would_leave_the_range_become_a_tenth_or_nine_tenths() -> None:
    """The pixel is 0.1 - noise below 0 and 0.9 - noise beyond 1; other pixels are the plain sum."""
    images = grey(1, 20)
    found = with_noise(images, torch.tensor([7]), 3, 0.4)[0, 0]
    drawn = torch.randn(1, 1, 20, 20, generator=_generator(0, 7, 3, 400_000)) * 0.4
    noise = in_band(drawn, 3)[0, 0]
    moved = 0
    for row in range(20):
        for column in range(20):
            pixel, added = float(images[0, 0, row, column]), float(noise[row, column])
            if pixel + added < 0:
                pixel, moved = 0.1 - added, moved + 1
            elif pixel + added > 1:
                pixel, moved = 0.9 - added, moved + 1
            if 0 <= pixel <= 1:
                assert float(found[row, column]) == pytest.approx(pixel + added, abs=1e-6)
    assert moved > 20


@pytest.mark.parametrize("deviation", [0.16, 1.0])
def test_the_result_is_in_range_and_repeats(deviation: float) -> None:
    """With a deviation of 1 a third of the pixels has noise beyond 0.9, which is drawn anew."""
    images, indices = grey(20, 20), torch.arange(20)
    found = with_noise(images, indices, 0, deviation)
    assert bool(((found >= 0) & (found <= 1)).all())
    assert torch.equal(found, with_noise(images, indices, 0, deviation))
    assert torch.equal(found[5:9], with_noise(images[5:9], indices[5:9], 0, deviation))


@pytest.mark.parametrize("deviation", [0.0, -0.1, 1.5, float("nan")])
def test_other_deviations_are_refused(deviation: float) -> None:
    with pytest.raises(ValueError, match="deviation of noise must be above 0 and at most 1, not"):
        with_noise(grey(1), torch.zeros(1), 0, deviation)
