"""Gaussian Bhattacharyya coefficient (GBC): how much classes overlap (Pándy et al., CVPR 2022, arXiv 2111.12780)."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from unseen.transfer.inputs import Floats, Matrix, class_means, classes_of, finite

_LEAST_VARIANCE = 1e-4


def gbc(features: Matrix, labels: Matrix, spherical: bool = True) -> float:
    """Return minus the sum of exp(-B) over ordered pairs of classes, B their Bhattacharyya distance; at most 0.

    Each class is a Gaussian with one variance (`spherical`) or one for each dimension, at least 1e-4. In the
    spherical case the logarithms in B are counted once, not once for each dimension, as in the public code that the
    published values come from.

    Args:
        features: (N, D).
        labels: (N,) integers, two images or more of each class.
        spherical: Whether a class has the mean of its variances in all dimensions.

    Raises:
        ValueError: In one sentence: NaN, one class, a class with one image, labels that do not match.

    Two classes at distance 2 with variance 1 (and a wider one would overlap more): B = 2² / 8.

    >>> round(gbc([[-1.0], [1.0], [1.0], [3.0]], [0, 0, 1, 1]), 6), round(float(-2 * np.exp(-0.5)), 6)
    (-1.213061, -1.213061)
    """
    rows = finite(features, "features")
    targets = classes_of(labels, len(rows), least=2)
    means, sizes = class_means(rows, targets)  # (C, D), (C,)
    rows -= means[targets]
    rows *= rows
    variances, _ = class_means(rows, targets)  # (C, D)
    variances = np.maximum(variances, _LEAST_VARIANCE)
    if spherical:
        variances = variances.mean(axis=1, keepdims=True)  # (C, 1)
    logs = np.log(variances).sum(axis=1)  # (C,)
    total = 0.0
    for one in range(len(sizes) - 1):
        others = slice(one + 1, None)
        between = (variances[one] + variances[others]) / 2  # (C', D) or (C', 1)
        distances = _distances(means[one], means[others], between)  # (C',)
        overlap = np.log(between).sum(axis=1) - (logs[one] + logs[others]) / 2
        total += float(np.exp(-distances / 8 - overlap / 2).sum())
    return -2 * total


def _distances(mean: Floats, means: Floats, variances: Floats) -> Floats:
    """Return squared distances (C',) of a mean (D,) to others (C', D), divided by variances (C', D) or (C', 1)."""
    if variances.shape[1] == 1:
        squared: Floats = cdist(mean[None], means, "sqeuclidean")[0]
        return squared / variances[:, 0]
    scaled: Floats = ((mean - means) ** 2 / variances).sum(axis=1)
    return scaled
