"""Grey low-contrast images under noise of one octave-wide band, the stimuli of the critical-band test.

Legend: B batch, H and W image height and width.

Source: Subramanian et al. 2023, arXiv 2309.13190; used on ImageNet networks in arXiv 2404.01509. White Gaussian noise
is split by a Laplacian pyramid (5-tap binomial filter, mirrored borders), one level of it is kept, and its root mean
square is made that of the finest level, so that all bands are equally strong.

Levels. A pyramid goes on as long as the shorter side, halved and rounded down each time, has the filter's 5 pixels:
224 px give 7 bands, nominally 112, 56, ... 1.75 cycles per image; 64 px give 5, 32 to 2 cycles per image. Bands that a
smaller image does not have are left out. Numbers count from the lowest band, as in the papers: 0 is the pyramid's
low-pass residual. The median frequencies lie below the nominal ones: at 224 px 94, 28, 13, 6.7, 3.2, 2.0 and 1.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CONTRAST, MEAN = 0.2, 0.449  # of the images under the noise
_TAPS = 5
_AT_ONCE = 16  # images whose noise is made together: faster than more, which leave the processor's cache


def bands(height: int, width: int) -> int:
    """Return how many bands an image of this size has.

    >>> bands(224, 224), bands(64, 64), bands(32, 32)
    (7, 5, 4)
    """
    side, count = min(height, width), 1
    while side >= _TAPS:
        side, count = side // 2, count + 1
    return count


def frequencies(size: int) -> tuple[float, ...]:
    """Return the nominal frequencies of the bands of square images, in cycles per image, the lowest first.

    >>> frequencies(224)
    (1.75, 3.5, 7.0, 14.0, 28.0, 56.0, 112.0)
    """
    count = bands(size, size)
    return tuple(size / 2 ** (count - band) for band in range(count))


def low_contrast(images: Tensor) -> Tensor:
    """Return images (B, 3, H, W) in [0, 1] as 8-bit grey, (B, 1, H, W), of mean 0.449 and contrast 0.2.

    Grey is that of Pillow, ITU-R 601-2 luma of 8-bit colours.
    """
    red, green, blue = (images.float() * 255).round().to(torch.int32).unbind(dim=1)
    grey = (red * 19595 + green * 38470 + blue * 7471 + 2**15) >> 16  # (B, H, W) in 0..255
    grey = grey[:, None].float() / 255
    return (grey - grey.mean(dim=(1, 2, 3), keepdim=True)) * CONTRAST + MEAN


def with_noise(grey: Tensor, indices: Tensor, band: int, deviation: float, seed: int = 0) -> Tensor:
    """Return low-contrast images under noise of one band.

    The noise of an image comes from its number, the band, the deviation and the seed alone, drawn on the CPU: the same
    in any batch and on any device, up to rounding. Pixels that would leave [0, 1] are treated as in the published test:
    one that the noise takes below 0 is set to 0.1 - noise first, one beyond 1 to 0.9 - noise, so that the sum is 0.1 or
    0.9. Where that pixel would itself leave [0, 1], another noise is drawn for it, white, of the same deviation.

    Args:
        grey: (B, 1, H, W) of `low_contrast`.
        indices: (B,) int64, numbers of the images in their set.
        band: 0 (lowest) to `bands(H, W)` - 1.
        deviation: Standard deviation of the white noise before it is filtered, above 0 and at most 1.
        seed: 0 or more.

    Returns:
        (B, 1, H, W) in [0, 1].

    Raises:
        ValueError: Images of this size have no such band, or the deviation is another one.
    """
    if not 0 < deviation <= 1:
        raise ValueError(f"the deviation of noise must be above 0 and at most 1, not {deviation!r}")
    parts = []
    for some, numbers in zip(torch.split(grey, _AT_ONCE), torch.split(indices, _AT_ONCE), strict=True):
        keys = [(seed, int(number), band, round(deviation * 1e6)) for number in numbers]
        white = torch.stack([torch.randn(some.shape[1:], generator=_generator(*key)) for key in keys])
        noise = in_band((white * deviation).to(some.device), band)
        parts.append(_added(some, noise, keys, deviation))
    return torch.cat(parts)


def _generator(*key: int) -> torch.Generator:
    """Return a generator of its own for these numbers."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))  # it takes 63 bits


def _added(grey: Tensor, noise: Tensor, keys: Sequence[tuple[int, ...]], deviation: float) -> Tensor:
    """Return grey + noise, (B, 1, H, W), in [0, 1]."""
    total = grey + noise
    least, most = torch.aminmax(total)
    if least >= 0 and most <= 1:
        return total
    found = _moved(total, noise)
    again = found.flatten(1).isnan().any(dim=1).nonzero()[:, 0]  # rare: noise of six deviations and more
    for image in again.tolist():
        where = found[image].isnan()
        pixels, generator = grey[image][where].cpu(), _generator(*keys[image], 1)
        drawn = torch.full_like(pixels, torch.nan)
        while bool(drawn.isnan().any()):
            other = torch.randn(len(pixels), generator=generator) * deviation
            drawn = torch.where(drawn.isnan(), _moved(pixels + other, other), drawn)
        found[image][where] = drawn.to(found.device)
    return found


def _moved(total: Tensor, noise: Tensor) -> Tensor:
    """Return sums of pixels and noise in [0, 1]; NaN where a moved pixel would itself leave [0, 1]."""
    low = torch.where(noise < -0.9, torch.nan, 0.1)
    high = torch.where(noise > 0.9, torch.nan, 0.9)
    return torch.where(total < 0, low, torch.where(total > 1, high, total))


def in_band(white: Tensor, band: int) -> Tensor:
    """Return the part of white noise (B, 1, H, W) that one band holds, as strong as the part of the finest band.

    Args:
        white: Each image is filtered by itself.
        band: 0 (low-pass residual) to `bands(H, W)` - 1 (finest).

    Raises:
        ValueError: Images of this size have no such band.
    """
    count = bands(*white.shape[-2:])
    if not 0 <= band < count:
        raise ValueError(
            f"images of {white.shape[-2]} × {white.shape[-1]} px have the bands 0 to {count - 1}, not {band}"
        )
    level, sizes = white, []
    coarser = _reduced(level)
    finest = level - _expanded(coarser, level.shape)
    strength = _rms(finest)
    if band == count - 1:
        return finest
    for _ in range(count - 2 - band):
        sizes.append(level.shape)
        level, coarser = coarser, _reduced(coarser)
    sizes.append(level.shape)
    part = coarser if band == 0 else coarser - _expanded(_reduced(coarser), coarser.shape)
    for shape in reversed(sizes):
        part = _expanded(part, shape)
    return part * (strength / _rms(part))


def _rms(images: Tensor) -> Tensor:
    return images.square().mean(dim=(-2, -1), keepdim=True).sqrt()


def _reduced(image: Tensor) -> Tensor:
    """Return the next level of a Gaussian pyramid: (..., H, W) to (..., ceil(H / 2), ceil(W / 2))."""
    padded = F.pad(image, (2, 2, 2, 2), mode="reflect")
    for axis in (-1, -2):
        size = image.shape[axis]
        taps = [padded.narrow(axis, tap, size) for tap in range(_TAPS)]
        a, b, c, d, e = (tap[..., ::2] if axis == -1 else tap[..., ::2, :] for tap in taps)
        padded = (a + e) / 16 + (b + d) / 4 + c * 0.375  # 1 4 6 4 1 over 16
    return padded


def _expanded(image: Tensor, shape: torch.Size) -> Tensor:
    """Return what a level is on the grid of the next finer one, of this shape: zeros between, then twice the filter."""
    for axis in (-1, -2):
        size, coarse = shape[axis], image.shape[axis]
        # mirrored on the finer grid: beyond an odd size lies the last but one pixel, beyond an even one the last
        before, after = image.narrow(axis, 1, 1), image.narrow(axis, coarse - 1 - size % 2, 1)
        padded = torch.cat([before, image, after], dim=axis)
        left, here, right = (padded.narrow(axis, start, coarse) for start in range(3))
        even, odd = (left + right) / 8 + here * 0.75, (here + right) / 2
        image = torch.stack([even, odd], dim=axis).flatten(axis - 1, axis).narrow(axis, 0, size)
    return image
