"""Calibration: whether a network is right as often as it says (Guo et al., arXiv 1706.04599, section 2).

Legend: B batch, M bins, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error (ECE): mean distance of confidence and accuracy, over bins of confidence.

    Confidence is the probability of the decision. Bin m of M holds confidences in ((m - 1) / M, m / M]; the error is
    the sum over bins of |sum of confidences - number of right ones| / N. In [0, 1], 0 is best.

    Few images make it too large: within a bin, chance alone sets the two apart. Resampled images do so once more, so
    that there is no interval (docs/biases.md). Compare networks on the same images only.

    Attributes:
        bins: M.
    """

    bins: int = 15

    passes: ClassVar[int] = 1
    needs_textures: ClassVar[bool] = False
    without_interval: ClassVar[tuple[str, ...]] = ("calibration_error",)

    def __post_init__(self) -> None:
        """Refuse no bins.

        Raises:
            ValueError: `bins` is below 1.
        """
        if self.bins < 1:
            raise ValueError(f"confidence needs at least one bin, not bins={self.bins}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Of every bin, what a reliability diagram shows: whether the image is in it, its confidence, and if right."""
        kinds = ("count", "confidence", "right")
        return tuple(f"{kind}_{number}" for kind in kinds for number in range(1, self.bins + 1))

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return the three numbers of each image in its bin, and 0 in the others, (B, 3 M)."""
        with torch.no_grad():
            confidence, decision = classifier(batch.images).float().softmax(dim=1).max(dim=1)  # (B,) each
        edges = torch.arange(1, self.bins, device=confidence.device) / self.bins  # (M - 1,) between bins
        in_bin = torch.nn.functional.one_hot(torch.bucketize(confidence, edges), self.bins)  # (B, M)
        right = batch.right(decision).float()
        numbers = torch.stack([torch.ones_like(confidence), confidence, right], dim=1)  # (B, 3)
        return (numbers[:, :, None] * in_bin[:, None, :]).flatten(1)

    def values(self, means: Array) -> dict[str, Array]:
        """Return `calibration_error`, (R,), of means (R, 3 M)."""
        _, confidence, right = np.split(means, 3, axis=1)
        return {"calibration_error": np.abs(confidence - right).sum(axis=1)}
