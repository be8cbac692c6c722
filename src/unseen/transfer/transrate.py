"""TransRate: mutual information of features and classes by coding rates (Huang et al., ICML 2022, arXiv 2106.09362)."""

from __future__ import annotations

import numpy as np

from unseen.transfer.inputs import Floats, Matrix, classes_of, finite

_DISTORTION = 1e-4


def transrate(features: Matrix, labels: Matrix) -> float:
    """Return the coding rate of all features less the mean rate of the classes, in nats; larger is better.

    Features are centred once, on the mean of all, and classes count alike, whatever their size, as in the public code.
    The rate of rows A (n, D) is ½ log det(I + AᵀA / (n · 1e-4)).

    Args:
        features: (N, D).
        labels: (N,) integers.

    Raises:
        ValueError: In one sentence: NaN, one class, labels that do not match.

    Two classes on two points tell nothing apart beyond the point: both rates are equal.

    >>> transrate([[1.0], [1.0], [-1.0], [-1.0]], [0, 0, 1, 1])
    0.0
    """
    rows = finite(features, "features")
    targets = classes_of(labels, len(rows))
    rows -= rows.mean(axis=0)
    order = np.argsort(targets, kind="stable")
    classes = np.split(rows[order], np.cumsum(np.bincount(targets))[:-1])
    return coding_rate(rows) - float(np.mean([coding_rate(one) for one in classes]))


def coding_rate(rows: Floats) -> float:
    """Return ½ log det(I + AᵀA / (n · 1e-4)) of rows A (n, D), by the smaller of AᵀA and AAᵀ, which have one value."""
    n, d = rows.shape
    gram = rows.T @ rows if d <= n else rows @ rows.T
    gram /= n * _DISTORTION
    gram.flat[:: len(gram) + 1] += 1
    return float(np.linalg.slogdet(gram)[1]) / 2
