"""Self-challenging Fisher discriminant analysis (SFDA; Shao et al., ECCV 2022, arXiv 2207.03036)."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from unseen.transfer.inputs import Floats, Integers, Matrix, class_means, classes_of, finite, varies_from


def sfda(features: Matrix, labels: Matrix) -> float:
    """Return the mean probability of the right class under discriminant analysis made harder, 0..1; larger is better.

    Regularised discriminant analysis gives every image its class probabilities; images that it is less sure of are
    moved towards the mean of the other classes; and the same analysis of the moved images gives the score. Details are
    those of the paper's public code.

    Args:
        features: (N, D).
        labels: (N,) integers.

    Raises:
        ValueError: In one sentence: NaN, one class, labels that do not match, no variation within classes.
    """
    rows = finite(features, "features")
    targets = classes_of(labels, len(rows))
    _, first = np.unique(targets, return_index=True)  # (C,)
    if not varies_from(rows, rows[first][targets]):
        raise ValueError("features do not vary within any class, so discriminant analysis is undefined")
    means, _ = class_means(rows, targets)  # (C, D)
    within = _within(rows, means, targets)  # (D, D)
    # the more they vary, the less is added
    shrinkage = max(float(np.exp(-5 * _largest_eigenvalue(within))), 1e-10)
    own = np.arange(len(rows)), targets
    probabilities = _probabilities(rows, targets, means, within, shrinkage)  # (N, C)
    sure = softmax(probabilities, axis=1)[own][:, None]  # (N, 1): a softmax of probabilities, as published
    others = (means.sum(axis=0) - means) / (len(means) - 1)  # (C, D) mean of the other classes' means
    rows = sure * rows + (1 - sure) * others[targets]
    means, _ = class_means(rows, targets)
    within = _within(rows, means, targets)
    return float(_probabilities(rows, targets, means, within, shrinkage)[own].mean())


def _within(rows: Floats, means: Floats, targets: Integers) -> Floats:
    """Return the covariance (D, D) within classes."""
    centred = rows - means[targets]
    covariance: Floats = centred.T @ centred / len(rows)
    return covariance


def _probabilities(
    rows: Floats, targets: Integers, means: Floats, within: Floats, shrinkage: float
) -> Floats:
    """Return class probabilities (N, C) of discriminant analysis with a covariance shrunk to a multiple of I."""
    covariance = (1 - shrinkage) * within
    covariance.flat[:: len(within) + 1] += shrinkage * np.trace(within) / len(within)
    weights = np.linalg.solve(covariance, means.T)  # (D, C)
    biases = np.log(np.bincount(targets) / len(targets)) - np.sum(means.T * weights, axis=0) / 2  # (C,)
    found: Floats = softmax(rows @ weights + biases, axis=1)
    return found


def _largest_eigenvalue(covariance: Floats) -> float:
    """Return the estimate that the public code takes: three double power steps from the sums of rows."""
    vector = covariance.sum(axis=1)  # (D,)
    before = vector
    for _ in range(3):
        before = _direction(covariance @ vector)
        vector = _direction(covariance @ before)
    return float(vector @ covariance @ before)


def _direction(vector: Floats) -> Floats:
    length = np.linalg.norm(vector)
    return vector / length if length else vector
