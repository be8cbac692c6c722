"""Share of images that a network classifies right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of the most probable class, in [0, 1]; an image with several accepted classes is right with any."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Whether the image is right."""
        return ("right",)

    @property
    def passes(self) -> int:
        """One forward pass."""
        return 1

    @property
    def needs_textures(self) -> bool:
        """Any labelled images will do."""
        return False

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return whether each image is right, (B, 1) of 0 and 1."""
        with torch.no_grad():
            return batch.right(classifier(batch.images).argmax(dim=1))[:, None].float()

    def values(self, means: Array) -> dict[str, Array]:
        """Return `accuracy`, (R,), of means (R, 1)."""
        return {"accuracy": means[:, 0]}
