"""EMMS: features regressed on several embeddings of the class names (Meng et al., NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import pinvh

from unseen.transfer.inputs import Floats, Integers, Matrix, class_means, class_numbers, finite

_GUARD = 1e-8


def emms(features: Matrix, labels: Matrix, label_embeddings: Sequence[Matrix]) -> float:
    """Return minus the squared error of a linear map from features to mixed label embeddings; at most 0.

    A linear map is fitted to the mean of the K sets of label embeddings, then weights of the sets, not negative and of
    sum 1, to what the map gives; its distance to the weighted sum is the score. That is one round of the paper's
    alternating minimisation, as in the public code. As there, the sum of squares is divided by N and multiplied by the
    size E of the label embeddings.

    Args:
        features: (N, D).
        labels: (N,) integers 0..C-1, the rows of the label embeddings.
        label_embeddings: K arrays (C, E), such as CLIP's, GPT-2's and BERT's vectors of the class names, of equal size.

    Raises:
        ValueError: In one sentence: no label embeddings, other sizes, NaN, one class, a label outside 0..C-1.
    """
    rows = finite(features, "features")
    sets = np.stack(_same_size(label_embeddings))  # (K, C, E)
    numbers = class_numbers(labels, len(rows), sets.shape[1])
    names, targets = np.unique(numbers, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"all images are of class {names[0]}: there must be two classes at least")
    targets = targets.astype(np.int64)
    shares = np.bincount(targets) / len(rows)  # (C,)
    sets = _standardised(sets[:, names], shares)
    rows -= rows.mean(axis=0)
    rows /= rows.std(axis=0) + _GUARD
    # Images of one class have one target, so that means over the class (C, ...) stand for sums over images.
    means, _ = class_means(rows, targets)  # (C, D)
    squares = rows.T @ rows / len(rows)  # (D, D)
    weights = pinvh(squares) @ (means * shares[:, None]).T @ sets.mean(axis=0)  # (D, E)
    mapped = means @ weights  # (C, E)
    mixture = np.tensordot(_set_weights(sets, mapped, shares), sets, axes=1)  # (C, E)
    of_images = np.sum(weights * (squares @ weights)) - 2 * shares @ np.sum(mapped * mixture, axis=1)
    squared_error = float(of_images + shares @ np.sum(mixture**2, axis=1))  # per image
    return -max(squared_error, 0.0) * int(sets.shape[2])  # a difference of sums: 0 may come out as less


def _same_size(label_embeddings: Sequence[Matrix]) -> list[Floats]:
    """Return the arrays (C, E), checked."""
    if len(label_embeddings) == 0:
        raise ValueError("EMMS needs label embeddings, one array of class vectors at least")
    sets = [finite(one, f"label_embeddings[{number}]") for number, one in enumerate(label_embeddings)]
    for number, one in enumerate(sets):
        if one.shape != sets[0].shape:
            raise ValueError(
                f"label_embeddings[{number}] has shape {one.shape} and label_embeddings[0] {sets[0].shape}; EMMS needs "
                "equal ones"
            )
    return sets


def _standardised(sets: Floats, shares: Floats) -> Floats:
    """Return label embeddings (K, C, E) with mean 0 and variance 1 over images, of which classes have shares (C,)."""
    centred = sets - np.einsum("c,kce->ke", shares, sets)[:, None]
    deviation = np.sqrt(np.einsum("c,kce->ke", shares, centred**2))[:, None]
    standardised: Floats = centred / (deviation + _GUARD)
    return standardised


def _set_weights(sets: Floats, mapped: Floats, shares: Floats) -> Floats:
    """Return the weights (K,) by which the sets (K, C, E) give what was mapped (C, E): sparsemax of least squares."""
    normal = np.einsum("c,kce,lce->kl", shares, sets, sets)
    right = np.einsum("c,kce,ce->k", shares, sets, mapped)
    return sparsemax(np.linalg.lstsq(normal, right, rcond=None)[0])


def sparsemax(scores: Floats) -> Floats:
    """Return the point of the probability simplex nearest to scores (K,) (Martins and Astudillo, ICML 2016).

    >>> sparsemax(np.array([0.5, 0.25, -3.0])).tolist()
    [0.625, 0.375, 0.0]
    """
    falling = np.sort(scores)[::-1]
    sums = np.cumsum(falling)
    ranks: Integers = np.arange(1, len(scores) + 1)
    kept = int((1 + ranks * falling > sums).sum())
    nearest: Floats = np.maximum(scores - (sums[kept - 1] - 1) / kept, 0)
    return nearest
