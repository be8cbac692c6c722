"""How much scores depend on which test images of each class were taken: the bootstrap over images (Efron 1979).

Images are resampled within each class, whose number of images is set by the data's settings; classes stay, and another
choice of them is another source of variance. What was computed from the images stays, too: the clusters, and each
image's neighbours. Computed again, a copy of an image would be its own nearest neighbour.

Legend: N images, C classes, K clusters.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def mean_sd(values: Tensor, targets: Tensor) -> float:
    """Return the standard deviation of a mean over resampled images, exactly: what more and more draws tend to.

    Args:
        values: One of each image, (N,); images with NaN are left out.
        targets: Classes 0..C-1 of the images, (N,).
    """
    counted = values.isfinite()
    values, targets = values[counted].double(), targets[counted]
    sizes = targets.bincount().double().clamp_min(1)  # (C,)
    means = torch.zeros_like(sizes).index_add(0, targets, values) / sizes
    return float((values - means[targets]).norm()) / len(values) if len(values) else math.nan


def nmi_sd(table: npt.NDArray[np.int64], *, draws: int, seed: int) -> float:
    """Return the standard deviation (ddof 1) of the NMI over resampled images.

    Args:
        table: Images of each class in each cluster, (C, K).
        draws: Number of resamplings, at least 2.
        seed: Makes them.
    """
    sizes = table.sum(1)  # (C,)
    rng = np.random.default_rng(seed)
    drawn = (rng.multinomial(sizes, table / sizes[:, None]) for _ in range(draws))  # each (C, K)
    return float(np.std([nmi_of(one) for one in drawn], ddof=1))


def nmi_of(table: npt.NDArray[np.int64]) -> float:
    """Return the normalised mutual information of classes and clusters, (C, K) images, over the mean entropy."""
    of_classes, of_clusters = entropy(table.sum(1)), entropy(table.sum(0))
    return 2 * (1 - entropy(table) / (of_classes + of_clusters))


def entropy(counts: npt.NDArray[np.int64]) -> float:
    """Return the entropy of counts of any shape in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
