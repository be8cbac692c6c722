"""Patch-shuffle sensitivity: what share of the accuracy is lost when the patches of an image change places.

Shuffled patches keep local texture and lose global shape (arXiv 1905.09797, which shuffles 2 x 2, 4 x 4 and 8 x 8).
Legend: B batch, H and W image height and width, n patches a side, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier, relative_to_clean, right_under


def shuffle_patches(images: Tensor, indices: Tensor, *, patches: int, seed: int) -> Tensor:
    """Return images cut into n x n patches that change places at random, by a draw for each image's number.

    A patch may keep its place; on average, one does. Where a side is no multiple of n, the largest multiple in the
    middle is cut, and the remaining pixels at both ends stay: nothing is resized.

    Args:
        images: (B, C, H, W).
        indices: (B,) int64 on the CPU.
        patches: n.
        seed: Of the draws, not negative.

    Raises:
        ValueError: A side has fewer pixels than patches.
    """
    height, width = images.shape[-2:]
    if min(height, width) < patches:
        raise ValueError(
            f"images of {height} x {width} pixels cannot be cut into {patches} x {patches} patches: use fewer patches"
        )
    h, w = height // patches, width // patches  # of a patch
    top, left = (height - h * patches) // 2, (width - w * patches) // 2
    shuffled = images.clone()
    for image, index in zip(shuffled, indices.tolist(), strict=True):
        order = np.random.default_rng((seed, index)).permutation(patches * patches)
        middle = image[:, top : top + h * patches, left : left + w * patches]
        cut = middle.unfold(1, h, h).unfold(2, w, w).flatten(1, 2)  # (C, n * n, h, w)
        rows = cut[:, torch.from_numpy(order)].unflatten(1, (patches, patches))  # (C, n, n, h, w)
        middle.copy_(rows.transpose(2, 3).flatten(1, 2).flatten(2, 3))
    return shuffled


@dataclass(frozen=True)
class PatchShuffleSensitivity:
    """One minus the accuracy on images with shuffled patches over that on the clean ones.

    0: the order of the patches adds nothing. 1: no shuffled image is right. Below 0: they are recognised better. A
    network that guesses has still the accuracy of chance, so with few classes the value stays below 1. The edges
    between patches are new, so that part of the loss may be due to them.

    Attributes:
        patches: Patches a side.
        seed: Of the shuffling, which is drawn for each image by its number.
    """

    patches: int = 4
    seed: int = 0

    columns: ClassVar[tuple[str, ...]] = ("clean", "shuffled")
    passes: ClassVar[int] = 2
    needs_textures: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse settings that shuffle nothing.

        Raises:
            ValueError: There are fewer than 2 patches a side, or the seed is negative.
        """
        if self.patches < 2:
            raise ValueError(
                f"there must be at least 2 patches a side to shuffle, not patches={self.patches}"
            )
        if self.seed < 0:
            raise ValueError(f"a seed must not be negative: {self.seed}")

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return whether each image is right whole and shuffled, (B, 2) of 0 and 1."""
        shuffled = shuffle_patches(batch.images, batch.indices, patches=self.patches, seed=self.seed)
        return right_under(classifier, batch, [batch.images, shuffled])

    def values(self, means: Array) -> dict[str, Array]:
        """Return `patch_shuffle_sensitivity`, (R,), of means (R, 2); NaN where no clean image is right."""
        return {"patch_shuffle_sensitivity": 1 - relative_to_clean(means)[:, 0]}
