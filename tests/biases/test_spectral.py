"""Filters of frequencies and the two frequency biases."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from unseen.biases import high_pass, low_pass
from unseen.biases.measure import Batch, Measure
from unseen.biases.spectral import HighFrequency, LowFrequency

Filter = Callable[[Tensor, float], Tensor]


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).random(shape))


def by_definition(images: Tensor, cutoff: float, low: bool) -> Tensor:
    """The published steps one by one, with a whole complex spectrum."""
    _, height, width = images.shape
    filtered = []
    for channel in images.numpy():
        spectrum = np.fft.fftshift(np.fft.fft2(channel))
        inside = np.zeros((height, width), bool)
        cy, cx = height // 2, width // 2
        share = cutoff if low else 1 - cutoff
        ry, rx = math.floor(share * cy + 1e-9), math.floor(share * cx + 1e-9)
        inside[cy - ry : cy + ry, cx - rx : cx + rx] = True
        spectrum[~inside if low else inside] = 0
        filtered.append(np.fft.ifft2(np.fft.ifftshift(spectrum)).real.clip(0, 1))
    return torch.from_numpy(np.stack(filtered))


# (filter, cutoff): mean, population standard deviation and first pixel of the filtered default_rng(0).random((3, 224,
# 224)), which were computed apart from this code
REFERENCE = {
    (low_pass, 0.01): (0.49949955, 0.00140609, 0.5007754),
    (low_pass, 0.3): (0.49949955, 0.08542628, 0.39451731),
    (low_pass, 0.7): (0.49949959, 0.19970263, 0.67482998),
    (low_pass, 0.99): (0.49949733, 0.28146407, 0.67612655),
    (high_pass, 0.01): (0.0199383, 0.02911506, 0.0),
    (high_pass, 0.3): (0.08351829, 0.11885803, 0.0),
    (high_pass, 0.7): (0.11725057, 0.15508185, 0.24244438),
    (high_pass, 0.99): (0.12476713, 0.16119317, 0.13618628),
}


@pytest.mark.parametrize(("kind", "cutoff"), REFERENCE)
def test_filters_have_the_reference_values(kind: Filter, cutoff: float) -> None:
    found = kind(noise(3, 224, 224), cutoff)
    numbers = (found.mean(), found.std(correction=0), found[0, 0, 0])
    np.testing.assert_allclose(numbers, REFERENCE[kind, cutoff], rtol=0, atol=1e-8)


@pytest.mark.parametrize("size", [(224, 224), (20, 20), (15, 15), (17, 24), (24, 17), (1, 2)])
@pytest.mark.parametrize("cutoff", [0.01, 0.1, 0.3, 0.5, 0.9, 0.99])
def test_filters_follow_their_definition_at_every_size(size: tuple[int, int], cutoff: float) -> None:
    images = noise(3, *size)
    for low, kind in ((True, low_pass), (False, high_pass)):
        torch.testing.assert_close(
            kind(images, cutoff), by_definition(images, cutoff, low), rtol=0, atol=1e-9
        )


def test_a_wave_passes_on_its_own_side_of_the_cutoff() -> None:
    """A wave of 3 cycles along the width of 20 px: a half width of 4 holds +3 and -3, one of 3 holds only -3."""
    wave = 0.5 + 0.25 * torch.cos(2 * torch.pi * 3 * torch.arange(20, dtype=torch.float64) / 20)
    images = wave.expand(1, 3, 20, 20)
    torch.testing.assert_close(low_pass(images, 0.4), images)
    torch.testing.assert_close(low_pass(images, 0.3), 0.5 + (images - 0.5) / 2)
    torch.testing.assert_close(low_pass(images, 0.2), torch.full_like(images, 0.5))
    torch.testing.assert_close(high_pass(images, 0.6), torch.zeros_like(images))  # 4 is removed
    torch.testing.assert_close(high_pass(images, 0.8), (images - 0.5).clamp(0, 1))  # 2 is removed


@pytest.mark.parametrize("cutoff", [0.1 + 0.2, 0.3, 0.3 - 1e-16])
def test_rounding_of_a_cutoff_moves_no_half_width(cutoff: float) -> None:
    """0.3 of 10 is 3; 1 - 0.9 of 10 is 1, though the floating-point product is less."""
    images = noise(3, 20, 20)
    assert torch.equal(low_pass(images, cutoff), low_pass(images, 0.35))
    assert (1 - 0.9) * 10 < 1
    assert torch.equal(high_pass(images, 0.9), high_pass(images, 0.85))
    assert not torch.equal(high_pass(images, 0.9), high_pass(images, 0.95))


@pytest.mark.parametrize("size", [(224, 224), (15, 15), (7, 10)])
def test_the_ends_are_the_whole_image_and_black(size: tuple[int, int]) -> None:
    images = noise(2, 3, *size)
    for kind in (low_pass, high_pass):
        torch.testing.assert_close(kind(images, 1), images)
        assert kind(images, 0).abs().max() < 1e-12


@pytest.mark.parametrize("kind", [low_pass, high_pass])
def test_an_image_alone_a_batch_and_other_precisions_agree(kind: Filter) -> None:
    images = noise(2, 3, 32, 32)
    found = kind(images, 0.4)
    assert torch.equal(found[1], kind(images[1], 0.4))
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 1e-2), (torch.float16, 2e-3)):
        other = kind(images.to(dtype), 0.4)
        assert other.dtype == dtype
        torch.testing.assert_close(other.double(), found, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", [low_pass, high_pass])
def test_wrong_input_gets_one_sentence(kind: Filter) -> None:
    images = torch.rand(2, 3, 8, 8)
    for cutoff in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="cutoff must be a number from 0 to 1, not"):
            kind(images, cutoff)
    for wrong in (images[:, :1], images[0, 0], images.permute(0, 2, 3, 1), images[:0]):
        with pytest.raises(ValueError, match=r"images must be \(B, 3, H, W\) or \(3, H, W\), not \("):
            kind(wrong, 0.5)
    with pytest.raises(ValueError, match=r"floating-point numbers in \[0, 1\], not torch.uint8"):
        kind(torch.zeros(3, 8, 8, dtype=torch.uint8), 0.5)
    for bad in (images * 255, images - 0.5, images * torch.nan):
        with pytest.raises(ValueError, match=r"images must be in \[0, 1\]; these are in \["):
            kind(bad, 0.5)


# ------------------------------------------------------------------ measures
def batch(images: Tensor) -> Batch:
    return Batch(images, torch.arange(len(images))[:, None] % 2, torch.arange(len(images)))


def bright(images: Tensor) -> Tensor:
    """Scores of class 0: dark, class 1: bright."""
    level = images.mean(dim=(1, 2, 3))
    return torch.stack([0.3 - level, level - 0.3], dim=1)


def test_a_network_that_sees_brightness_needs_low_frequencies() -> None:
    """Low-pass filters keep the mean, high-pass ones remove it: what was bright is dark, and every other is right."""
    levels = torch.tensor([0.1, 0.6, 0.2, 0.7, 0.6, 0.8])  # classes 0 1 0 1 0 1: the fifth is wrong
    images = levels[:, None, None, None] + 0.05 * torch.rand(6, 3, 16, 16, generator=torch.manual_seed(0))
    low, high = LowFrequency(), HighFrequency()
    assert isinstance(low, Measure)
    assert isinstance(high, Measure)
    assert low.columns[:3] == ("clean", "low_pass_0.01", "low_pass_0.1")
    assert high.columns[-1] == "high_pass_0.99"
    assert low.passes == high.passes == len(low.columns) == 12
    seen = low.observe(bright, batch(images))
    assert torch.equal(seen[:, 0], torch.tensor([1.0, 1, 1, 1, 0, 1]))
    assert torch.equal(seen[:, 3:], seen[:, :1].expand(-1, 9))  # 0.1 of 8 holds no frequency at all: black
    means = seen.double().mean(dim=0, keepdim=True).numpy()
    assert low.values(means)["low_frequency_bias"] == pytest.approx([0.92])  # 0.6 once and 1 four times
    means = high.observe(bright, batch(images)).double().mean(dim=0, keepdim=True).numpy()
    assert high.values(means)["high_frequency_bias"] == pytest.approx([0.6])  # 3 / 6 over 5 / 6


def test_a_bias_is_the_mean_of_five_ratios_and_nothing_without_accuracy() -> None:
    """ResNet-50 of torchvision: ratios .178 .530 .727 .830 .900 have the mean .633."""
    ratios = (0.17758, 0.53035, 0.726946, 0.829827, 0.899955)
    columns = np.array([[0.8, 0, *(0.8 * ratio for ratio in ratios), 9, 9, 9, 9, 9], [0.0] * 12])
    found = LowFrequency().values(columns)["low_frequency_bias"]
    assert found == pytest.approx([0.6329316, np.nan], nan_ok=True)
    reordered = LowFrequency((0.5, 0.4, 0.3, 0.2, 0.1))
    found = reordered.values(np.array([[0.8, *(0.8 * ratio for ratio in reversed(ratios))]]))
    assert found["low_frequency_bias"] == pytest.approx([0.6329316])


def test_cutoffs_that_leave_no_bias_are_refused() -> None:
    with pytest.raises(ValueError, match=r"cutoffs must be different and have 0.1, .* got 0.1, 0.2$"):
        LowFrequency((0.1, 0.2))
    with pytest.raises(ValueError, match="cutoffs must be between 0 and 1, not 10"):
        HighFrequency((10, 20))
    assert LowFrequency([0.1, 0.2, 0.3, 0.4, 0.5]) == LowFrequency((0.1, 0.2, 0.3, 0.4, 0.5))  # type: ignore[arg-type]


def test_measuring_draws_no_random_number() -> None:
    images = torch.rand(2, 3, 16, 16)
    before = torch.get_rng_state()
    LowFrequency().observe(bright, batch(images))
    assert torch.equal(before, torch.get_rng_state())
