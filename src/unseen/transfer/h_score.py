"""H-score: the share of the features' variance that classes explain, direction by direction (Bao et al., ICIP 2019)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import pinvh

from unseen.transfer.inputs import SAME, Matrix, class_means, classes_of, finite, varies_from


def h_score(features: Matrix, labels: Matrix) -> float:
    """Return trace(pinv(cov X) cov E[X|Y]), between 0 and the smaller of D and C - 1; larger is better.

    Directions without variance, up to rounding, are left out of the inverse. With fewer
    images than dimensions any labels are explained, and the score is C - 1.

    Args:
        features: (N, D).
        labels: (N,) integers.

    Raises:
        ValueError: In one sentence: NaN, one class, features that are all the same, labels that do not match.

    In one dimension the score is the variance between classes over the whole, here 4 / 5.

    >>> round(h_score([[-3.0], [-1.0], [1.0], [3.0]], [0, 0, 1, 1]), 12)
    0.8
    """
    rows = finite(features, "features")
    targets = classes_of(labels, len(rows))
    if not varies_from(rows, rows[0]):
        raise ValueError(SAME)
    rows -= rows.mean(axis=0)
    means, sizes = class_means(rows, targets)  # (C, D), (C,)
    spread = means * np.sqrt(sizes)[:, None]
    return float(np.sum(pinvh(rows.T @ rows) * (spread.T @ spread)))  # both by N - 1, which cancels
