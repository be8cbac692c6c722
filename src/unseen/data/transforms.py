"""Canvases to network input, a batch at a time, on whatever device the batch is.

Equal to rotating about the centre (nearest pixel), cropping the centre, scaling to 0..1 and normalising.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from unseen.data.noise import Noise

RAW_SIDE = 32
_CHUNK = 64  # images made small at once
# Pixels that go through all steps before the next ones do: their working copies, 40 bytes each, stay in the cache.
_PIXELS = 2**18


def max_rotation(size: int, margin: int) -> float:
    """Return the largest angle in degrees whose centre crop shows nothing from outside the canvas.

    A corner of the S x S crop reaches S/2 (cos a + sin a) from the centre along an axis; the canvas has S/2 +
    p.

    >>> round(max_rotation(224, 20), 1), max_rotation(100, 21)
    (11.4, 180.0)
    """
    reach = (1 + 2 * margin / size) / math.sqrt(2)
    return 180.0 if reach >= 1 else max(0.0, math.degrees(math.asin(reach)) - 45)


def to_images(
    canvases: Tensor,
    angles: Tensor | None,
    *,
    size: int,
    mean: Sequence[float],
    std: Sequence[float],
    noise: Noise | None = None,
) -> Tensor:
    """Return normalised images (B, 3, S, S) float32.

    Args:
        canvases: (B, 3, S+2p, S+2p) uint8.
        angles: (B,) degrees, counter-clockwise; None: no rotation.
        size: S.
        mean: Of each channel, on the scale 0..1.
        std: Of each channel.
        noise: Mixed in before the normalisation, on the scale 0..1: (1 - level) image + level noise.
    """
    shift, scale = (_on_channels(values, canvases.device) for values in (mean, std))
    images = torch.empty(len(canvases), 3, size, size, dtype=torch.float32, device=canvases.device)
    # a GPU has no such cache, and waits for each call
    parts = 1 if canvases.is_cuda else math.ceil(len(canvases) / max(1, _PIXELS // size**2))
    step = max(1, math.ceil(len(canvases) / max(1, parts)))  # parts of about equal size
    for first in range(0, len(canvases), step):
        some = slice(first, first + step)
        if angles is None:
            margin = (canvases.shape[2] - size) // 2
            inner = slice(margin, margin + size)
            cropped = canvases[some, :, inner, inner]
        else:
            cropped = _rotated_crop(canvases[some], angles[some], size)
        part = images[some].copy_(cropped).div_(255)  # (B, 3, S, S)
        if noise is not None:
            pixels = noise.pixels[some].permute(0, 3, 1, 2).to(torch.float32).div_(255)
            part.lerp_(pixels, noise.level)
        part.sub_(shift).div_(scale)
    return images


def _on_channels(values: Sequence[float], device: torch.device) -> Tensor:
    """Return (1, 3, 1, 1) on a device, without waiting until it has done what it was asked before."""
    return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1).to(device, non_blocking=True)


def _rotated_crop(canvases: Tensor, angles: Tensor, size: int) -> Tensor:
    """Return the (B, 3, S, S) centre of canvases rotated by their angles.

    Beyond the canvas its edge goes on: no allowed angle looks there, and no corner may turn black.
    """
    batch, _, side, _ = canvases.shape
    centre = side / 2
    offset = torch.arange(size, dtype=torch.float32, device=canvases.device) + (
        0.5 - size / 2
    )  # pixel centres
    radians = torch.deg2rad(angles.to(torch.float32)).view(batch, 1, 1)
    cos, sin = radians.cos(), radians.sin()
    x, y = offset.view(1, 1, size), offset.view(1, size, 1)
    from_x = (cos * x - sin * y).add_(centre).floor_().clamp_(0, side - 1)  # (B, S, S)
    from_y = (sin * x + cos * y).add_(centre).floor_().clamp_(0, side - 1)
    # exact below 2^24 pixels; straight to 64 bits takes twice as long
    place = from_x.add_(from_y, alpha=side).int().long().view(batch, 1, size * size)
    # read in order once, so that the gather finds them in the cache
    planes = canvases.clone(memory_format=torch.contiguous_format).view(batch, 3, side * side)
    return planes.gather(2, place.expand(-1, 3, -1)).view(batch, 3, size, size)


def raw_pixels(canvases: Tensor, *, size: int) -> Tensor:
    """Return centres of canvases (N, 3, S+2p, S+2p), at most 32 x 32, flat: (N, D) float32 in 0..1."""
    margin = (canvases.shape[2] - size) // 2
    inner = slice(margin, margin + size)
    side = min(size, RAW_SIDE)
    flat = torch.empty(len(canvases), 3 * side * side)
    for first in range(0, len(canvases), _CHUNK):
        images = canvases[first : first + _CHUNK, :, inner, inner].float().div_(255)  # (B, 3, S, S)
        if side != size:
            images = F.interpolate(
                images, size=(side, side), mode="bilinear", antialias=True, align_corners=False
            )
        flat[first : first + _CHUNK] = images.flatten(1)
    return flat.clamp_(0, 1)
