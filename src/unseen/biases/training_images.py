"""Training images that lack what a network shall not rely on, to induce a bias: transforms for `data.augment`."""

from __future__ import annotations

import torch
from torch import Tensor

from unseen.biases.patches import shuffle_patches
from unseen.biases.spectral import high_pass


class HighPass:
    """Leaves the highest frequencies of an image: see `unseen.biases.high_pass`.

    Args:
        cutoff: Share of the frequencies along each axis that is left, in (0, 1).

    Raises:
        ValueError: Another cutoff.
    """

    def __init__(self, cutoff: float) -> None:
        if not 0 < cutoff < 1:
            raise ValueError(f"cutoff={cutoff} must be between 0 and 1, without both")
        self.cutoff = cutoff

    def __call__(self, image: Tensor) -> Tensor:
        """Return the filtered image (3, S, S) uint8."""
        return high_pass(image / 255, self.cutoff).mul(255).round().to(torch.uint8)


class PatchShuffle:
    """Cuts an image into patches that change places at random: local texture stays, shape goes.

    It stands in for stylised training images (arXiv 1811.12231), which take the texture and leave the shape: this does
    the opposite, and needs no style transfer.

    Args:
        patches: Patches a side, at least 2; no more than pixels.

    Raises:
        ValueError: Fewer patches.
    """

    def __init__(self, patches: int) -> None:
        if patches < 2:
            raise ValueError(f"patches={patches} must be at least 2, or nothing changes places")
        self.patches = patches

    def __call__(self, image: Tensor) -> Tensor:
        """Return the shuffled image (3, S, S) uint8, drawn by torch's generator."""
        seed = int(torch.randint(2**31, ()))
        first = torch.zeros(1, dtype=torch.int64)
        return shuffle_patches(image[None], first, patches=self.patches, seed=seed)[0]
