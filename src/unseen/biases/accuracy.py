"""Share of images that a network classifies right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier, right_under


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of the most probable class, in [0, 1]; an image with several accepted classes is right with any."""

    columns: ClassVar[tuple[str, ...]] = ("right",)
    passes: ClassVar[int] = 1
    needs_textures: ClassVar[bool] = False

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return whether each image is right, (B, 1) of 0 and 1."""
        return right_under(classifier, batch, [batch.images])

    def values(self, means: Array) -> dict[str, Array]:
        """Return `accuracy`, (R,), of means (R, 1)."""
        return {"accuracy": means[:, 0]}
