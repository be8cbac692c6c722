"""How many of a sample's nearest neighbours share its class (arXiv 2402.14095, 2405.01524), exactly.

The search is exhaustive and takes O(N^2 D) time, but holds only a block of rows of the distance matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from unseen.probes.inputs import FloatArray, IntArray, checked_embeddings, checked_labels, unit_scaled

Float64Array: TypeAlias = npt.NDArray[np.float64]

BLOCK_DISTANCES = 2**20  # distances held at once: 8 MiB of float64, about 35 MiB with their working copies
TIE_TOLERANCE = 1e-13  # of |x|^2 + d^2: about a hundred times the rounding of a float64 distance


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
    at_1, at_k, at_mates = _same_label_shares(features, targets, ranks)  # (N,) each
    ceiling = np.mean(np.minimum(mates, k) / k)
    precision = at_mates[mates > 0].mean() if mates.any() else math.nan
    return NeighborAgreement(float(at_1.mean()), float(at_k.mean()), float(ceiling), k), float(precision)


def _same_label_shares(features: FloatArray, targets: IntArray, ranks: IntArray) -> Float64Array:
    """For every row of ranks (R, N): share of same-label samples among the ranks[r, i] nearest of i, (R, N).

    A rank of 0 is answered as rank 1. Needs N >= 2.

    Squared distances are |x|^2 + |y|^2 - 2 x.y in float64 after a shift that puts the sample nearest to
    the mean at the origin: the common offset, which would eat the digits, is gone, and because a shift by
    a float32 sample is exact in float64, equal distances of coarse data (pixels) stay equal.
    """
    points = unit_scaled(features).astype(np.float64)  # (N, D)
    center = np.argmin(np.square(points - points.mean(axis=0)).sum(axis=1))
    points -= points[center].copy()
    squares = np.einsum("nd,nd->n", points, points)  # (N,)
    num_samples = len(points)
    ranks = np.maximum(ranks, 1)

    shares = np.empty(ranks.shape)  # (R, N)
    step = max(1, BLOCK_DISTANCES // num_samples)
    for start in range(0, num_samples, step):
        rows = slice(start, min(start + step, num_samples))
        distances = (-2.0 * points[rows]) @ points.T  # (B, N), without the |x|^2 that a row has in common
        distances += squares
        own = np.arange(rows.start, rows.stop)  # (B,)
        distances[own - rows.start, own] = np.inf  # a sample is not its own neighbour
        same = np.where(targets[rows, None] == targets, distances, np.inf)  # (B, N), only same-label ones
        places = ranks[:, rows] - 1  # (R, B)
        ordered = np.partition(distances, np.unique(places), axis=1)  # (B, N), right at the places asked for
        for r, place in enumerate(places):
            last = np.take_along_axis(ordered, place[:, None], axis=1)  # (B, 1), distance at the last place
            shares[r, rows] = _shares_up_to(last, place + 1, distances, same, squares[rows, None])
    return shares


def _shares_up_to(
    last: Float64Array, rank: IntArray, distances: Float64Array, same: Float64Array, squares: Float64Array
) -> Float64Array:
    """Share of same-label ones among the nearest `rank` (B,) of each row, ties sharing the places left, (B,).

    Args:
        last: Distance at the last place, (B, 1).
        rank: Number of places, (B,).
        distances: To all samples, less |x|^2, (B, N).
        same: The same with infinity in place of other labels, (B, N).
        squares: |x|^2, (B, 1).
    """
    tolerance = TIE_TOLERANCE * (squares + np.maximum(last + squares, 0.0))  # (B, 1)
    upper = last + tolerance
    within = np.count_nonzero(distances <= upper, axis=1)  # (B,), >= rank
    hits = np.count_nonzero(same <= upper, axis=1).astype(np.float64)  # (B,)
    tied = np.flatnonzero(within > rank)  # rows with more candidates than places; rare unless data repeat
    if len(tied):
        lower = (last - tolerance)[tied]
        closer = np.count_nonzero(distances[tied] < lower, axis=1)
        sure = np.count_nonzero(same[tied] < lower, axis=1)
        hits[tied] = sure + (hits[tied] - sure) * ((rank[tied] - closer) / (within[tied] - closer))
    result: Float64Array = hits / rank
    return result
