"""How many of a sample's nearest neighbours share its class (arXiv 2402.14095, 2405.01524), exactly.

The search is exhaustive and takes O(N^2 D) time, but holds only blocks of rows of the distance matrix, and no more than
400 MiB of it for later rows (`neighbor_search.py`, `pair_distances.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from unseen.probes.inputs import checked_embeddings, checked_labels
from unseen.probes.neighbor_search import same_label_shares


@dataclass(frozen=True)
class NeighborAgreement:
    """Share of nearest other samples with the same label, 0..1.

    Attributes:
        at_1: Share for the single nearest neighbour.
        at_k: Share among the k nearest, averaged over samples.
        ceiling: The most that `at_k` could be: mean_i min(n_{y_i} - 1, k) / k with n_c samples in class c.
            Far below 1 when k exceeds the class sizes; values with different ceilings do not compare.
        k: Neighbours used: the k asked for, at most N - 1.
    """

    at_1: float
    at_k: float
    ceiling: float
    k: int


def neighbor_agreement(
    embeddings: torch.Tensor | npt.ArrayLike, labels: torch.Tensor | npt.ArrayLike, *, k: int
) -> NeighborAgreement:
    """Share of each sample's 1 and k nearest other samples (Euclidean) that have its label: NN@1 and NN@k.

    The papers use k = 500, the size of an unseen class. The sample itself is left out by its index, so
    an identical copy of it does count. Samples that are equally far at the k-th place share the places
    that are left: each tie counts with the average over all ways to break it, so that the result depends
    neither on the order of the samples nor on the number of threads, and constant features score the
    chance level mean_i (n_{y_i} - 1) / (N - 1).

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        k: Neighbours to look at; more than N - 1 are cut to N - 1, and the result says so.

    Returns:
        The shares, their ceiling and the k used; NaN with k = 0 for a single sample.

    Raises:
        ValueError: If k < 1 or the inputs are malformed or not finite.
    """
    return neighbor_scores(embeddings, labels, k=k)[0]


def r_precision(embeddings: torch.Tensor | npt.ArrayLike, labels: torch.Tensor | npt.ArrayLike) -> float:
    """Share of same-label samples among the n_{y_i} - 1 nearest others of sample i, averaged over samples.

    Unlike NN@k it can always reach 1, so classes and sets of different sizes compare. Neighbours and ties
    as in `neighbor_agreement`. A sample that is the only one of its class has nothing to find and is left
    out of the average; NaN if that leaves none.

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).

    Raises:
        ValueError: If the inputs are malformed or not finite.
    """
    return neighbor_scores(embeddings, labels, k=1)[1]


def neighbor_scores(
    embeddings: torch.Tensor | npt.ArrayLike, labels: torch.Tensor | npt.ArrayLike, *, k: int
) -> tuple[NeighborAgreement, float]:
    """The results of `neighbor_agreement` and `r_precision` from one pass over the distances.

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        k: Neighbours to look at, as in `neighbor_agreement`.

    Raises:
        ValueError: If k < 1 or the inputs are malformed or not finite.
    """
    features = checked_embeddings(embeddings)  # (N, D)
    _, targets = checked_labels(labels, len(features))
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    num_samples = len(features)
    k = min(k, num_samples - 1)
    if k == 0:
        return NeighborAgreement(math.nan, math.nan, math.nan, k), math.nan
    mates = np.bincount(targets)[targets] - 1  # (N,), other samples with the same label
    ranks = np.stack([np.full(num_samples, 1), np.full(num_samples, k), mates])  # (3, N)
    at_1, at_k, at_mates = same_label_shares(features, targets, ranks)  # (N,) each
    ceiling = np.mean(np.minimum(mates, k) / k)
    precision = at_mates[mates > 0].mean() if mates.any() else math.nan
    return NeighborAgreement(float(at_1.mean()), float(at_k.mean()), float(ceiling), k), float(precision)
