"""LogME: evidence of Bayesian linear regression on the labels (You et al., ICML 2021, arXiv 2102.11005)."""

from __future__ import annotations

import numpy as np

from unseen.transfer.inputs import Floats, Matrix, class_means, classes_of, finite

_STEPS, _CLOSE, _GUARD = 11, 1e-3, 1e-5


def logme(features: Matrix, labels: Matrix) -> float:
    """Return the logarithm of the maximum evidence, per image and as a mean over classes; larger is better.

    Each class against all others is a regression on 0 and 1, whose two precisions are found by MacKay's fixed point
    (algorithm 1 of the paper), in 11 steps at most and until their ratio changes by less than 0.1 %,
    as in the public code. Stopping so early leaves the evidence up to 1e-4 below its maximum.

    Args:
        features: (N, D), taken as they are: without a constant column there is no intercept.
        labels: (N,) integers.

    Raises:
        ValueError: In one sentence: NaN, one class, all features zero, labels that do not match.
    """
    rows = finite(features, "features")
    n, d = rows.shape
    targets = classes_of(labels, n)
    if not rows.any():
        raise ValueError("features are all zero")
    energies, projected = _singular(rows)  # (K,), (N, K) with K the rank
    means, sizes = class_means(projected, targets)
    squares = (means * sizes[:, None]) ** 2  # (C, K) of the labels' coefficients on the left singular vectors
    return float(
        np.mean([_evidence(energies, *one, n, d) for one in zip(squares, sizes.tolist(), strict=True)])
    )


def _singular(rows: Floats) -> tuple[Floats, Floats]:
    """Return squared singular values (K,), and left singular vectors (N, K), by the smaller Gram matrix."""
    n, d = rows.shape
    wide = d > n
    energies, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = energies > energies[-1] * max(n, d) * np.finfo(np.float64).eps
    energies, vectors = energies[kept], vectors[:, kept]
    return energies, vectors if wide else rows @ vectors / np.sqrt(energies)


def _evidence(energies: Floats, squares: Floats, size: int, n: int, d: int) -> float:
    """Return the evidence per image of a regression on the 0 and 1 of a class with `size` images."""
    outside = max(size - float(squares.sum()), 0.0)  # what no combination of features gives
    alpha = beta = 1.0
    evidence = -np.inf
    for _ in range(_STEPS):
        ratio = alpha / beta
        effective = float((energies / (energies + ratio)).sum())
        weights = float((energies * squares / (energies + ratio) ** 2).sum())
        residual = float((squares / (1 + energies / ratio) ** 2).sum()) + outside
        alpha, beta = effective / (weights + _GUARD), (n - effective) / (residual + _GUARD)
        # a direction without variance has the prior's precision, before and after
        determinant = float(np.log(alpha + beta * energies).sum()) + (d - len(energies)) * np.log(alpha)
        evidence = (
            d * np.log(alpha)
            + n * np.log(beta)
            - determinant
            - beta * residual
            - alpha * weights
            - n * np.log(2 * np.pi)
        ) / (2 * n)
        if abs(alpha / beta - ratio) <= _CLOSE * ratio:
            break
    return float(evidence)
