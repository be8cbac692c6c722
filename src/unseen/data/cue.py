"""A simple cue beside the shapes: each image in an ink of one colour, as many colours as there are classes.

After Shah et al. (arXiv 2006.07710), who give a network a simple and a complex feature that both predict the class, and
then make one of them random. Here the simple one is the colour. In training it agrees with the class as far as is set;
in every evaluation it is drawn for each image without regard to the class.

Legend: N images, C classes, B batch, S image side.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class ColourCue:
    """How far the colours of training images agree with their classes.

    A colour follows from the seed and the image's name: it is the same whatever other images there are, in every epoch
    and process. At a higher agreement more images have the colour of their class, and the others keep theirs.

    Attributes:
        agreement: a, the share of training images that have the colour of their class for certain; the others have any
            colour with the same probability, that of the class included. At 1 the colour tells the class, at 0 nothing.
        seed: Draws which colour stands for which class, and the colours of images.

    Raises:
        ValueError: The agreement is not a share.
    """

    agreement: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.agreement <= 1:
            raise ValueError(
                f"cue_agreement={self.agreement} must lie between 0 and 1, or be null for no cue"
            )

    def of_training(self, names: Iterable[str], labels: Sequence[int], classes: Sequence[str]) -> Tensor:
        """Return the colours (N,) of training images, int64 in 0..C-1.

        Args:
            names: N names.
            labels: N classes, as positions in `classes`.
            classes: C names.
        """
        order = sorted(range(len(classes)), key=lambda label: self._draws("class", classes[label]))
        of_class = np.argsort(order).tolist()  # C colours
        found = []
        for name, label in zip(names, labels, strict=True):
            agrees, drawn = self._draws("image", name)
            found.append(of_class[label] if agrees < self.agreement else int(drawn * len(classes)))
        return torch.tensor(found, dtype=torch.int64)

    def of_evaluation(self, names: Iterable[str], number: int) -> Tensor:
        """Return the colours (N,) of images that are evaluated, int64 in 0..number-1, whatever their classes."""
        return torch.tensor(
            [int(self._draws("image", name)[1] * number) for name in names], dtype=torch.int64
        )

    def _draws(self, of: str, name: str) -> tuple[float, float]:
        """Return two numbers, uniform in [0, 1): of a hash, as a generator for each image would take minutes."""
        text = f"{self.seed} {of} {name}".encode("utf-8", "surrogateescape")
        first, second = struct.unpack_from("<2I", hashlib.sha256(text).digest())
        return first / 2**32, second / 2**32


def palette(number: int) -> Tensor:
    """Return inks of evenly spaced hues, (number, 3) uint8.

    Red, green and blue are (1 + cos(h)) / 3, (1 + cos(h - 120°)) / 3, (1 + cos(h + 120°)) / 3 of 255 at a hue h. Their
    mean is a third for every hue, so that the colour does not change how dark the ink is.

    >>> palette(3).tolist()
    [[170, 42, 42], [42, 170, 42], [42, 42, 170]]
    """
    hues = 2 * np.pi * np.arange(number)[:, None] / number  # (number, 1)
    shares = (1 + np.cos(hues - 2 * np.pi * np.arange(3) / 3)) / 3  # (number, 3)
    return torch.from_numpy(np.rint(255 * shares - 1e-6).astype(np.uint8))  # 42.5 is 42 on every machine


def inked(images: Tensor, inks: Tensor) -> Tensor:
    """Return images (B, 3, S, S) uint8 in which the ink (B, 3) uint8 stands for black: white stays, greys lie between.

    A value x of a channel becomes 255 - (255 - x) (255 - ink) / 255, rounded, in whole numbers: the same on any device.
    """
    strength = 255 - inks.int().view(len(inks), 3, 1, 1)
    return (255 - (255 - images.int()).mul_(strength).add_(127).floor_divide_(255)).to(torch.uint8)
