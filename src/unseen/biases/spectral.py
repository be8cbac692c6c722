"""Low- and high-pass filtered images, and how much of the accuracy is left on them.

Legend: B batch, H and W image height and width, K numbers of an image, R resamples.

Source: Gavrikov and Keuper, "Can Biases in ImageNet Models Explain Generalization?", arXiv 2404.01509. A filter keeps,
or removes, a square of the centred spectrum of each channel. The square of half width r has the rows cy-r .. cy+r-1
about the zero frequency, cy = H // 2, so it holds one negative frequency more than positive ones; columns likewise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier, relative_to_clean, right_under

CUTOFFS = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
BIAS_CUTOFFS = (0.1, 0.2, 0.3, 0.4, 0.5)  # what a bias is the mean of


def low_pass(images: Tensor, cutoff: float) -> Tensor:
    """Return images that have only their lowest frequencies, clipped to [0, 1].

    The half width of the kept square is floor(cutoff * (H // 2)) along the height, and likewise along the width,
    so that an image that is not square keeps the same share of both.

    Args:
        images: (B, 3, H, W) or (3, H, W) in [0, 1]; any size, on any device.
        cutoff: Share of the frequencies along each axis, 0 (a black image) to 1 (all of the image).

    Returns:
        Like `images`.

    Raises:
        ValueError: The shape, the kind of number, a value or the cutoff is another one.
    """
    _check(images, cutoff)
    return _filtered(images, cutoff, inside=True)


def high_pass(images: Tensor, cutoff: float) -> Tensor:
    """Return images that have only their highest frequencies, clipped to [0, 1].

    A square of half width floor((1 - cutoff) * (H // 2)) is removed, likewise along the width. The mean goes with it:
    about half of what is left is negative and becomes 0, as in the published study.

    Args:
        images: (B, 3, H, W) or (3, H, W) in [0, 1]; any size, on any device.
        cutoff: Share of the frequencies along each axis, 0 (a black image) to 1 (all of the image).

    Returns:
        Like `images`.

    Raises:
        ValueError: The shape, the kind of number, a value or the cutoff is another one.
    """
    _check(images, cutoff)
    return _filtered(images, 1 - cutoff, inside=False)


def _check(images: Tensor, cutoff: float) -> None:
    """Raise a ValueError for what no filter takes."""
    if images.ndim not in (3, 4) or images.shape[-3] != 3 or 0 in images.shape:
        raise ValueError(f"images must be (B, 3, H, W) or (3, H, W), not {tuple(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(f"images must be floating-point numbers in [0, 1], not {images.dtype}")
    least, most = (float(value) for value in torch.aminmax(images))
    if not (least >= -1e-6 and most <= 1 + 1e-6):  # also true of NaN
        raise ValueError(f"images must be in [0, 1]; these are in [{least:.4g}, {most:.4g}]")
    if not 0 <= cutoff <= 1:
        raise ValueError(f"cutoff must be a number from 0 to 1, not {cutoff!r}")


def _filtered(images: Tensor, share: float, inside: bool) -> Tensor:
    """Return images with what is inside the square of this share, or outside of it."""
    exact = images if images.dtype == torch.float64 else images.float()
    height, width = images.shape[-2:]
    rows, columns = (_square_side(size, share).to(images.device) for size in (height, width))
    mask = rows[:, None] & columns  # (H, W)
    mask = mask if inside else ~mask
    # The real part of the inverse transform is that of the mask averaged with its mirror image about frequency 0, as
    # images are real; averaged, it acts on the half spectrum.
    mirrored = mask.flip(0, 1).roll((1, 1), (0, 1))  # entry k holds entry -k
    mean = (mask.to(exact.dtype) + mirrored.to(exact.dtype)) / 2
    spectrum = torch.fft.rfft2(exact) * mean[:, : width // 2 + 1]  # (..., H, W // 2 + 1)
    kept: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
    return kept.clamp(0, 1).to(images.dtype)


def _square_side(size: int, share: float) -> Tensor:
    """Return which frequencies of an axis the square holds, (size,) bool, in the order of an FFT."""
    center = size // 2
    half = math.floor(round(share * center, 9))  # (1 - 0.9) * 10 is 0.9999999999999998, which is 1
    inside = torch.zeros(size, dtype=torch.bool)
    # Share 1 holds everything, also the highest frequency of an odd size.
    inside[center - half : size if half == center else center + half] = True
    ordered: Tensor = torch.fft.ifftshift(inside)
    return ordered


@dataclass(frozen=True)
class _FilterBias:
    """Accuracy on filtered images, relative to that on the clean ones.

    Attributes:
        cutoffs: Shares of the frequencies, in the order of the columns; those that the bias averages are among them.
    """

    cutoffs: tuple[float, ...] = CUTOFFS

    name: ClassVar[str]
    value: ClassVar[str]
    filter: ClassVar[Callable[[Tensor, float], Tensor]]
    needs_textures: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutoffs", tuple(float(cutoff) for cutoff in self.cutoffs))
        wrong = [cutoff for cutoff in self.cutoffs if not 0 < cutoff < 1]
        if wrong:
            raise ValueError(f"cutoffs must be between 0 and 1, not {wrong[0]:g}")
        if len(set(self.cutoffs)) < len(self.cutoffs) or not set(BIAS_CUTOFFS) <= set(self.cutoffs):
            raise ValueError(
                f"cutoffs must be different and have {', '.join(map(str, BIAS_CUTOFFS))}, whose mean the bias is; "
                f"got {', '.join(map(str, self.cutoffs))}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """`clean`, then one name for each cutoff, such as `low_pass_0.1`."""
        return ("clean", *(f"{self.name}_{cutoff:g}" for cutoff in self.cutoffs))

    @property
    def passes(self) -> int:
        """One for the clean images and for each cutoff."""
        return 1 + len(self.cutoffs)

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return whether each image is right under each condition, (B, K) of 0 and 1."""
        filtered = (type(self).filter(batch.images, cutoff) for cutoff in self.cutoffs)
        return right_under(classifier, batch, chain([batch.images], filtered))

    def values(self, means: Array) -> dict[str, Array]:
        """Return the bias, (R,): mean of accuracy over clean accuracy at the cutoffs 0.1 to 0.5; NaN if that is 0."""
        at = [self.cutoffs.index(cutoff) for cutoff in BIAS_CUTOFFS]
        return {self.value: relative_to_clean(means)[:, at].mean(axis=1)}


@dataclass(frozen=True)
class LowFrequency(_FilterBias):
    """Low-frequency bias: how much of the accuracy is left on low-pass filtered images.

    The mean over the cutoffs 0.1, 0.2, ... 0.5 of the accuracy on filtered images divided by that on clean ones
    (arXiv 2404.01509): 0 where the network needs high frequencies, 1 where it does without, above 1 where they harm.

    Attributes:
        cutoffs: Shares of the frequencies that are kept, the lowest ones; 11 in the published study.
    """

    name: ClassVar[str] = "low_pass"
    value: ClassVar[str] = "low_frequency_bias"
    filter: ClassVar[Callable[[Tensor, float], Tensor]] = staticmethod(low_pass)


@dataclass(frozen=True)
class HighFrequency(_FilterBias):
    """High-frequency bias: how much of the accuracy is left on high-pass filtered images.

    The mean over the cutoffs 0.1, 0.2, ... 0.5 of the accuracy on filtered images divided by that on clean ones
    (arXiv 2404.01509). The filtered images have no mean and are clipped: the median of the study's 48 networks is .010.

    Attributes:
        cutoffs: Shares of the frequencies that are kept, the highest ones; 11 in the published study.
    """

    name: ClassVar[str] = "high_pass"
    value: ClassVar[str] = "high_frequency_bias"
    filter: ClassVar[Callable[[Tensor, float], Tensor]] = staticmethod(high_pass)
