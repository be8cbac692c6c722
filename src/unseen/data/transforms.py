"""How images are shown to a network: size, rotation, noise; canvases to network input, a batch at a time.

The result equals rotating about the centre (nearest pixel), cropping the centre, scaling to 0..1 and normalising, on
whatever device the batch is. Angles and noise are pure functions of a seed and of the image's index.

Legend: N images, B batch, S image side, p margin of a canvas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unseen.data.canvases import Frame, half_pixels
from unseen.data.cue import inked
from unseen.data.shift import Shift, shifted

RAW_SIDE = 32
_TRAIN, _EVAL, _NOISE = 31, 32, 41  # streams of random numbers, beside that of the order
_CHUNK = 64  # images made small at once
# Pixels that go through all steps before the next ones do: their working copies, 40 bytes each, stay in the cache.
_PIXELS = 2**18
EpochAngles = Callable[[int], Tensor]
"""Gives the angles (N,) of an epoch."""


@dataclass(frozen=True)
class View:
    """Size and rotation of the images.

    Attributes:
        image_size: S.
        rotation: Largest angle in degrees; angles are uniform in [-rotation, rotation].
        pad: White border before the rotation, as a share of S.
        eval_deterministic: True: evaluation shows images unrotated; False: each by an angle that it keeps.
        seed: Makes the angles.

    Raises:
        ValueError: One sentence that names the value and what is allowed.
    """

    image_size: int
    rotation: float = 0.0
    pad: float = 20 / 224
    eval_deterministic: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise ValueError(f"image_size={self.image_size} must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must be at least 0")
        if not 0 <= self.pad <= 1:
            raise ValueError(f"pad={self.pad} must lie between 0 and 1")
        allowed = max_rotation(self.image_size, self._pad_pixels)
        if not 0 <= self.rotation <= allowed:
            raise ValueError(
                f"rotation={self.rotation} must lie between 0 and {math.floor(allowed * 10) / 10:g} degrees: "
                "a larger angle would show black corners with "
                f"pad={self.pad:.3g} at image_size={self.image_size}"
            )

    @property
    def _pad_pixels(self) -> int:
        """The border in pixels, 20 at 224; rounded up so that every size allows the angles that 224 allows."""
        return math.ceil(self.image_size * self.pad - 1e-6)

    @property
    def frame(self) -> Frame:
        """The sizes of a canvas; without rotation there is no need to keep a margin."""
        return Frame(self.image_size, self._pad_pixels, margin=self._pad_pixels if self.rotation > 0 else 0)

    def train_angles(self, num_samples: int) -> EpochAngles | None:
        """Return what draws a new angle for each sample in each epoch, or None where nothing is rotated."""
        if self.rotation == 0:
            return None
        return lambda epoch: self._draw(num_samples, _TRAIN, epoch)

    def eval_angles(self, num_samples: int, which: int) -> EpochAngles | None:
        """Return what gives each sample of evaluation set number `which` the angle that it keeps, or None."""
        if self.rotation == 0 or self.eval_deterministic:
            return None
        return lambda _epoch: self._draw(num_samples, _EVAL, which)

    def _draw(self, num_samples: int, *stream: int) -> Tensor:
        rng = np.random.default_rng([self.seed, *stream])
        return torch.from_numpy(rng.uniform(-self.rotation, self.rotation, num_samples).astype(np.float32))


class Noise(NamedTuple):
    """What a batch is mixed with: pixels (B, S, S, 3) uint8, and their share in the mixture, 0..1."""

    pixels: Tensor
    level: float


@dataclass(frozen=True)
class NoiseSource:
    """Noise of each image, uniform over the 256 values of a pixel: a pure function of the seed and the image's index.

    The level does not enter: at a higher level there is more of the same noise.

    Attributes:
        level: Share of noise, 0..1; at 1 nothing of the image is left.
        seed: Makes the noise.
        size: S.
    """

    level: float
    seed: int
    size: int

    def draw(self, indices: Tensor) -> Noise:
        """Return the noise of the images with these indices (B,)."""
        pixels = np.empty((len(indices), self.size, self.size, 3), dtype=np.uint8)
        for place, index in enumerate(indices.tolist()):
            rng = np.random.default_rng([self.seed, _NOISE, index])
            pixels[place] = rng.integers(0, 256, pixels.shape[1:], dtype=np.uint8)
        return Noise(torch.from_numpy(pixels), self.level)


def max_rotation(size: int, margin: int) -> float:
    """Return the largest angle in degrees whose centre crop shows nothing from outside the canvas.

    A corner of the S x S crop lies S/2 (cos a + sin a) from the centre along an axis; the canvas ends at S/2 + p.

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
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    noise: Noise | None = None,
    shift: Shift = "none",
    inks: Tensor | None = None,
) -> Tensor:
    """Return normalised images (B, 3, S, S) float32.

    Args:
        canvases: (B, 3, S+2p, S+2p) uint8.
        angles: (B,) degrees, counter-clockwise; None: no rotation.
        size: S.
        mean: Of each channel, on the scale 0..1; a tensor on the device of the canvases saves a copy.
        std: Of each channel.
        noise: Mixed in before the normalisation, on the scale 0..1: (1 - level) image + level noise.
        shift: Changes the images before that.
        inks: (B, 3) uint8, in which black is shown, before anything else; None: as they are.
    """
    centre, scale = (_on_channels(values, canvases.device) for values in (mean, std))
    images = torch.empty(len(canvases), 3, size, size, dtype=torch.float32, device=canvases.device)
    # a GPU has no such cache, and each call costs time
    parts = 1 if canvases.is_cuda else math.ceil(len(canvases) / max(1, _PIXELS // size**2))
    step = max(1, math.ceil(len(canvases) / max(1, parts)))  # parts of about equal size
    for first in range(0, len(canvases), step):
        some = slice(first, first + step)
        of_some = (None if each is None else each[some] for each in (angles, inks))
        shown = cropped(canvases[some], *of_some, size=size)
        part = images[some].copy_(shown).div_(255)  # (B, 3, S, S)
        if shift != "none":
            part.copy_(shifted(part, shift))
        if noise is not None:
            pixels = noise.pixels[some].permute(0, 3, 1, 2).to(torch.float32).div_(255)
            part.lerp_(pixels, noise.level)
        part.sub_(centre).div_(scale)
    return images


def cropped(canvases: Tensor, angles: Tensor | None, inks: Tensor | None = None, *, size: int) -> Tensor:
    """Return the (B, 3, S, S) centre of canvases (B, 3, S+2p, S+2p), all uint8.

    Rotated by angles (B,) if there are any, then in inks (B, 3) uint8: the rotation reads a mark in a canvas's corner.
    """
    if angles is not None:
        shown = _rotated_crop(canvases, angles, size)
    else:
        margin = (canvases.shape[2] - size) // 2
        inner = slice(margin, margin + size)
        shown = canvases[:, :, inner, inner]
    return shown if inks is None else inked(shown, inks)


def _on_channels(values: Sequence[float] | Tensor, device: torch.device) -> Tensor:
    """Return (1, 3, 1, 1) on a device, without a synchronisation."""
    tensor = torch.as_tensor(values, dtype=torch.float32)
    return tensor.view(1, 3, 1, 1).to(device, non_blocking=True)


def _rotated_crop(canvases: Tensor, angles: Tensor, size: int) -> Tensor:
    """Return the (B, 3, S, S) centre of canvases, rotated by their angles about the pictures' centres.

    Outside a canvas its edge is repeated.
    """
    batch, _, side, _ = canvases.shape
    off = half_pixels(canvases).view(batch, 2, 1, 1)
    centre_x, centre_y = (side / 2 - off).unbind(1)  # of the pictures, (B, 1, 1)
    offset = torch.arange(size, dtype=torch.float32, device=canvases.device) + (0.5 - size / 2)
    radians = torch.deg2rad(angles.to(torch.float32)).view(batch, 1, 1)
    cos, sin = radians.cos(), radians.sin()
    # from the pictures' centres
    x, y = offset.view(1, 1, size) + off[:, 0], offset.view(1, size, 1) + off[:, 1]
    from_x = (cos * x - sin * y).add_(centre_x).floor_().clamp_(0, side - 1)  # (B, S, S)
    from_y = (sin * x + cos * y).add_(centre_y).floor_().clamp_(0, side - 1)
    # exact below 2^24 pixels; straight to 64 bits takes twice as long
    place = from_x.add_(from_y, alpha=side).int().long().view(batch, 1, size * size)
    # read in order once, so that the gather finds them in the cache
    planes = canvases.clone(memory_format=torch.contiguous_format).view(batch, 3, side * side)
    return planes.gather(2, place.expand(-1, 3, -1)).view(batch, 3, size, size)


def raw_pixels(canvases: Tensor, *, size: int, shift: Shift = "none", inks: Tensor | None = None) -> Tensor:
    """Return centres of canvases (N, 3, S+2p, S+2p) in inks, shifted, at most 32 x 32, flat: (N, D) float32 in 0..1."""
    side = min(size, RAW_SIDE)
    flat = torch.empty(len(canvases), 3 * side * side)
    for first in range(0, len(canvases), _CHUNK):
        some = slice(first, first + _CHUNK)
        shown = cropped(canvases[some], None, None if inks is None else inks[some], size=size)  # (B, 3, S, S)
        flat[some] = flat_pixels(shifted(shown.float().div_(255), shift))
    return flat.clamp_(0, 1)


def flat_pixels(images: Tensor) -> Tensor:
    """Return images (B, C, S, S) float32, made at most 32 x 32, flat: (B, D)."""
    if images.shape[-1] > RAW_SIDE:
        images = F.interpolate(
            images, size=(RAW_SIDE, RAW_SIDE), mode="bilinear", antialias=True, align_corners=False
        )
    return images.flatten(1)
