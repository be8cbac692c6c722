"""How much of an image a decision listens to: how far the gradient of its score spreads over the pixels.

Luo et al. (arXiv 1701.04128, section 2) measure the effective receptive field of a unit by the gradient of its output
with respect to the input. A classifier shows no unit but its scores, so the gradient here is that of the winning score,
and its spread is a share of the area, as that of Ding et al. (arXiv 2203.06717), but of the strongest pixels wherever
they are, not of a square in the middle.
Legend: B batch, H and W image height and width, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier


@dataclass(frozen=True)
class ReceptiveField:
    """Smallest share of the pixels that hold half of the gradient of the winning score, averaged over images.

    A pixel's gradient is the sum of the absolute values of its three channels. The value is in (0, `share`]: that of
    pixels that all count the same is `share`; a decision that hangs on one pixel has 1 / (H W).

    It says how widely the decision would react to small changes of pixels, and not how far a unit of some layer sees:
    of a network that averages over all places, every pixel has a gradient, however narrow its filters. Where an object
    covers a part of the image, the value is about that part. Values of different image sizes, and of scores of other
    classes, do not compare.

    Attributes:
        share: Of the gradient that the pixels must hold, in (0, 1).
    """

    share: float = 0.5

    columns: ClassVar[tuple[str, ...]] = ("pixels", "with_gradient")
    passes: ClassVar[int] = 3
    needs_textures: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse a share that is none.

        Raises:
            ValueError: `share` is not between 0 and 1.
        """
        if not 0 < self.share < 1:
            raise ValueError(f"share must be between 0 and 1, not {self.share}")

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return each image's share of pixels, and whether it has a gradient at all (if not, both are 0), (B, 2)."""
        images = batch.images.detach().clone().requires_grad_()
        with torch.enable_grad():
            winning = classifier(images).max(dim=1).values  # (B,)
            (gradient,) = torch.autograd.grad(winning.sum(), images)
        strength = gradient.abs().sum(dim=1).flatten(1).cpu().double()  # (B, H * W)
        held = strength.sort(dim=1, descending=True).values.cumsum(dim=1)
        total = held[:, -1:]
        needed = (held < self.share * total).sum(dim=1) + 1
        exists = (total[:, 0] > 0) + 0 * total[:, 0]  # NaN where it is not finite, which is refused
        return torch.stack([needed * exists / strength.shape[1], exists], dim=1).float()

    def values(self, means: Array) -> dict[str, Array]:
        """Return `receptive_field`, (R,), of means (R, 2): over images with a gradient; NaN if there are none."""
        return {"receptive_field": means[:, 0] / np.where(means[:, 1] > 0, means[:, 1], np.nan)}
