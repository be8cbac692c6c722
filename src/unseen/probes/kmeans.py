"""Lloyd's k-means from greedy k-means++ starts, all starts at once.

The same algorithm, stopping rule, and stream of random numbers as `sklearn.cluster.KMeans`, so that a seed gives the
clusters that scikit-learn and the papers get from it. (With many samples times many clusters, a draw between
neighbours can hang on the last bit of a sum; there scikit-learn itself changes with its number of threads.) What
differs is the work: starts share one pass over the features, as two matrix products a step, in blocks of rows
whose sums are added in a fixed order (scikit-learn adds them in the order in which its threads finish), and samples
that are surely still nearest to their center are left out of a step.

Shapes: N samples, D features, C clusters, S starts, B rows of a block.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from unseen.probes.center_bounds import CenterBounds, closeness, half_squares
from unseen.probes.inputs import Float32Array, Float64Array, IntArray
from unseen.probes.row_blocks import RowThreads, row_threads

MAX_STEPS = 300
TOLERANCE = 1e-4  # of the mean variance: the sum of squared center moves that ends a start
_BLOCK_VALUES = 2**18  # features of a block: a megabyte, which a core's cache keeps
# Starts that have so many centers together share a matrix product, which makes it fast. More would also share the
# samples that any one of them has to look at, and a start alone has finer bounds (`center_bounds.py`).
_CENTERS_AT_ONCE = 64


@dataclass(frozen=True)
class Clustering:
    """One start's end.

    Attributes:
        assigned: Cluster of each sample, (N,).
        inertia: Sum of squared distances to the own cluster's center.
    """

    assigned: IntArray
    inertia: float


def cluster(features: Float32Array, num_clusters: int, *, n_init: int, seed: int) -> list[Clustering]:
    """Return the clusterings that `n_init` starts end in, in the order of the starts.

    Args:
        features: (N, D).
        num_clusters: C, 1..N.
        n_init: S.
        seed: Of all starts together, as scikit-learn's `random_state`.
    """
    points = features - features.mean(axis=0)  # (N, D); smaller numbers, more digits
    squares = np.einsum("nd,nd->n", points, points)  # (N,)
    random = np.random.RandomState(seed)
    with row_threads() as threads:
        draws = [_Draws.of_one_start(random, len(points), num_clusters) for _ in range(n_init)]
        starts = _plus_plus(points, draws, threads)  # (S, C)
        together = max(1, _CENTERS_AT_ONCE // num_clusters)
        groups = [starts[first : first + together] for first in range(0, n_init, together)]
        return [one for group in groups for one in _lloyd(points, squares, points[group], threads)]


@dataclass(frozen=True)
class _Draws:
    """The random numbers of one start: first sample, and (C-1, T) uniform ones, T candidates a further center."""

    first: int
    uniform: Float64Array

    @classmethod
    def of_one_start(cls, random: np.random.RandomState, num_samples: int, num_clusters: int) -> _Draws:
        first = int(random.choice(num_samples, p=np.full(num_samples, 1 / num_samples)))
        candidates = 2 + int(np.log(num_clusters))
        return cls(first, random.uniform(size=(num_clusters - 1, candidates)))


def best_clustering(found: Sequence[Clustering]) -> Clustering:
    """Return the clustering with the least inertia; of equal ones the first."""
    return min(found, key=lambda one: one.inertia)


def _plus_plus(points: Float32Array, draws: Sequence[_Draws], threads: RowThreads) -> IntArray:
    """Return the samples (S, C) that greedy k-means++ starts from (Arthur & Vassilvitskii 2007, section 5).

    Of T samples, drawn with chances as their squared distance from the centers so far, the one becomes a center that
    leaves the least sum of squared distances. Distances are worked out in float64 and kept in float32, sums are
    float32: a draw between thousands of samples depends on the last digit, and these are scikit-learn's.
    """
    squares = np.einsum("nd,nd->n", points, points, dtype=np.float64)  # (N,)
    uniform = np.stack([one.uniform for one in draws])  # (S, C-1, T)
    num_starts, further, _ = uniform.shape
    every, ones = np.arange(num_starts), np.ones((len(points), 1), dtype=np.float32)
    nearest = np.full((num_starts, 1, len(points)), np.inf, dtype=np.float32)  # squared distance to a center
    candidates = np.array([[one.first] for one in draws])  # (S, T), at first one
    chosen = []  # each (S,)
    for place in range(further + 1):
        flat = candidates.ravel()  # (S T,)
        centers = points[flat].astype(np.float64)  # (S T, D)

        def distances(rows: slice, centers: Float64Array = centers, others: IntArray = flat) -> Float32Array:
            product = points[rows].astype(np.float64) @ centers.T  # (B, S T)
            product *= -2
            product += squares[rows, None]
            product += squares[others]
            return np.maximum(product.astype(np.float32), 0).T  # (S T, B)

        found = np.concatenate(threads.map(distances, len(points), _block(points.shape[1])), axis=1)
        found = np.minimum(found.reshape(num_starts, -1, len(points)), nearest)  # (S, T, N)
        sums = np.stack([one @ ones for one in found]).reshape(num_starts, -1)  # (S, T)
        best = sums.argmin(axis=1)  # (S,)
        nearest = found[every, best][:, None]
        chosen.append(candidates[every, best])
        if place < further:
            heights = np.cumsum(nearest[:, 0], axis=1)  # (S, N)
            levels = uniform[:, place] * sums[every, best][:, None]  # (S, T)
            drawn = [np.searchsorted(row, level) for row, level in zip(heights, levels, strict=True)]
            candidates = np.minimum(np.stack(drawn), len(points) - 1)
    return np.stack(chosen, axis=1)


def _lloyd(
    points: Float32Array, squares: Float32Array, centers: Float32Array, threads: RowThreads
) -> list[Clustering]:
    """Move each start's centers (S, C, D) to rest.

    Samples that are surely still nearest to their center are left out of a step.
    """
    num_starts, num_clusters, _ = centers.shape
    least_move = TOLERANCE * float(np.mean(np.var(points, axis=0)))
    done: dict[int, Clustering] = {}
    assigned = np.full((num_starts, len(points)), -1, dtype=np.int64)  # (S, N)
    bounds = CenterBounds(num_starts, len(points), num_clusters)
    sums = np.zeros(centers.shape)  # (S, C, D) float64: changes are added to it step by step
    going = np.arange(num_starts)  # the starts that still move
    for _ in range(MAX_STEPS):
        rows = bounds.open_rows(going, threads)  # (N',)
        before, now = assigned[going], assigned[going]
        if len(rows):
            now[:, rows] = bounds.renew(points, squares, centers[going], going, rows, threads)
        sums[going] += _change_of_sums(points, before, now, num_clusters, threads)
        same = (now == before).all(axis=1)
        assigned[going] = now
        counts = np.stack([np.bincount(one, minlength=num_clusters) for one in now])[:, :, None]  # (S', C, 1)
        lost = (counts == 0).any(axis=(1, 2))
        for start in going[lost].tolist():
            done[start] = _with_empty_clusters(points, centers[start])
        moved = (sums[going] / np.maximum(counts, 1)).astype(np.float32)  # (S', C, D)
        squared_moves = np.square(moved.astype(np.float64) - centers[going]).sum(axis=2)  # (S', C)
        moves = squared_moves.sum(axis=1)  # (S',)
        centers[going] = moved
        bounds.follow(going, now, np.sqrt(squared_moves))
        rested = ~lost & ~same & (moves <= least_move)
        if rested.any():  # the centers moved a last time after these samples were assigned
            assigned[going[rested]] = _nearest(points, centers[going[rested]], threads)
        for start in going[~lost & (same | rested)].tolist():
            done[start] = _finished(points, squares, centers[start], assigned[start])
        going = going[~(lost | same | rested)]
        if not len(going):
            break
    for start in going.tolist():
        last = _nearest(points, centers[[start]], threads)[0]
        done[start] = _finished(points, squares, centers[start], last)
    return [done[start] for start in range(num_starts)]


def _nearest(points: Float32Array, centers: Float32Array, threads: RowThreads) -> IntArray:
    """Return the nearest of each start's centers (S, C, D) to each sample, (S, N)."""
    half = half_squares(centers)

    def nearest(block: slice) -> IntArray:
        found: IntArray = closeness(points[block], centers, half).argmax(axis=2)
        return found

    return np.concatenate(threads.map(nearest, len(points), _block(points.shape[1]))).T


def _change_of_sums(
    points: Float32Array, before: IntArray, now: IntArray, num_clusters: int, threads: RowThreads
) -> Float64Array:
    """Return what the sums of the clusters' samples (S, C, D) gain when assignments (S, N) change.

    After a few steps few samples change, and only those are touched.
    """
    num_starts = len(now)
    first = np.arange(num_starts)[:, None] * num_clusters  # (S, 1), where a start's clusters begin
    changed = np.flatnonzero((before != now).any(axis=0))  # (N',)
    joins, leaves = (first + now)[:, changed].T, (first + before)[:, changed].T  # (N', S)
    known = bool((before[:, :1] >= 0).all())  # not so in the first step

    def change(rows: slice) -> Float32Array:
        some = joins[rows]
        signs = np.zeros((len(some), num_starts * num_clusters), dtype=np.float32)  # (B, S C)
        np.put_along_axis(signs, some, 1, axis=1)
        if known:
            line = np.arange(len(some))[:, None]
            signs[line, leaves[rows]] -= 1
        return signs.T @ points[changed[rows]]

    shape = (num_starts, num_clusters, points.shape[1])
    total = np.zeros((num_starts * num_clusters, points.shape[1]))
    for part in threads.map(change, len(changed), _block(points.shape[1])) if len(changed) else []:
        total += part
    return total.reshape(shape)


def _block(num_features: int) -> int:
    return max(64, _BLOCK_VALUES // num_features)


def _finished(
    points: Float32Array, squares: Float32Array, centers: Float32Array, assigned: IntArray
) -> Clustering:
    own = centers[assigned]  # (N, D)
    inner = np.einsum("nd,nd->n", points, own) - np.einsum("nd,nd->n", own, own) / 2
    return Clustering(assigned, float((squares - 2 * inner).sum(dtype=np.float64)))


def _with_empty_clusters(points: Float32Array, centers: Float32Array) -> Clustering:
    """Go on with scikit-learn, which has rules for clusters that lost all their samples (repeated points)."""
    model = KMeans(len(centers), init=centers, n_init=1, algorithm="lloyd", max_iter=MAX_STEPS)
    with warnings.catch_warnings():
        # of fewer distinct points than clusters the caller warns in clearer words
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    return Clustering(model.labels_.astype(np.int64), float(model.inertia_))
