"""How an image is shown to a network: its size, and the angle it is turned by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unseen.data.canvases import Frame
from unseen.data.transforms import max_rotation

_TRAIN, _EVAL = 31, 32  # one stream of random numbers each
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
    """

    image_size: int
    rotation: float = 0.0
    pad: float = 20 / 224
    eval_deterministic: bool = True
    seed: int = 0

    def check(self) -> None:
        """Refuse impossible values.

        Raises:
            ValueError: One sentence that names the value and what is allowed.
        """
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
