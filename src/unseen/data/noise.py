"""Noise that replaces images step by step: a control, on which no network can tell classes apart.

Legend: B batch, S image side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_STREAM = 41  # of random numbers, beside those of order and angles


class Noise(NamedTuple):
    """What a batch is mixed with: pixels (B, S, S, 3) uint8, and their share in the mixture, 0..1."""

    pixels: Tensor
    level: float


@dataclass(frozen=True)
class NoiseSource:
    """Gives each image noise of its own, uniform over the 256 values of a pixel.

    It is a pure function of the seed and the image's index, so it is the same for any batch and any number of
    processes. The level does not enter: at a higher level there is more of the same noise.

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
            rng = np.random.default_rng([self.seed, _STREAM, index])
            pixels[place] = rng.integers(0, 256, pixels.shape[1:], dtype=np.uint8)
        return Noise(torch.from_numpy(pixels), self.level)
