"""What a measure of a network is: a few numbers of every image, and values made of their means.

Legend: B batch, C classes, H and W image height and width, N images, K numbers of an image, R resamples.

A mean over images is all that a value may depend on, so that every measure is streamed over batches, resumed between
them, and given an interval by resampling images, all in the same way: see `unseen.biases.measuring`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]
# Images (B, 3, H, W) in [0, 1] to scores of the classes (B, C) whose softmax are the probabilities. It normalises as
# the network wants it, and maps the network's classes to those that the images are labelled with.
Classifier = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Batch:
    """Some of the images of a set.

    Attributes:
        images: (B, 3, H, W) float32 in [0, 1], on the device of the network.
        accepted: (B, M) int64, the classes that count as right; the first is the label, -1 fills the rows.
        indices: (B,) int64 on the CPU, the images' numbers in their set: noise is drawn for each by its number, so
            that no value depends on the size of a batch.
        textures: (B,) int64, the class of the texture of cue-conflict images; None: the set has no textures.
    """

    images: Tensor
    accepted: Tensor
    indices: Tensor
    textures: Tensor | None = None

    @property
    def labels(self) -> Tensor:
        """(B,) int64."""
        return self.accepted[:, 0]

    def right(self, decisions: Tensor) -> Tensor:
        """Whether decisions (B,) are right: (B,) bool."""
        return (decisions[:, None] == self.accepted).any(dim=1)


def right_under(classifier: Classifier, batch: Batch, conditions: Iterable[Tensor]) -> Tensor:
    """Return whether each image is right under each of K conditions, (B, K) of 0 and 1.

    Args:
        classifier: The network.
        batch: The images.
        conditions: What becomes of the images under each, (B, 3, H, W); of an iterator, one is in memory at a time.
    """
    with torch.no_grad():
        right = [batch.right(classifier(images).argmax(dim=1)) for images in conditions]
    return torch.stack(right, dim=1).float()


def relative_to_clean(means: Array) -> Array:
    """Return accuracies (R, K - 1) over that of the first column, of clean images; NaN where that is 0."""
    return means[:, 1:] / np.where(means[:, :1] > 0, means[:, :1], np.nan)


@runtime_checkable
class Measure(Protocol):
    """One measure, with its settings; a frozen dataclass in a file of its own, and a file in configs/measures.

    It may have `without_interval`, the names of values whose resamples tell nothing of their error.

    Attributes:
        columns: Names of the K numbers of an image, such as `clean` and `low_pass_0.1`.
        passes: Forward passes that an image takes, a backward pass counted as two; for the estimate of time.
        needs_textures: Whether only cue-conflict images can be measured.
    """

    @property
    def columns(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def passes(self) -> int: ...  # noqa: D102

    @property
    def needs_textures(self) -> bool: ...  # noqa: D102

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return the numbers of each image, (B, K)."""
        ...

    def values(self, means: Array) -> dict[str, Array]:
        """Return what the measure says, by name.

        Args:
            means: (R, K), means of the columns over images: of all of them, and of resamples.

        Returns:
            (R,) values by name; NaN where the means tell nothing, such as a ratio to an accuracy of 0.
        """
        ...
