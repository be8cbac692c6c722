"""Exhaustive, exact search for the labels among nearest neighbours, at the speed of float32.

All distances are worked out in float32, whose rounding has a bound. Only where that bound leaves open which sample
takes the last place, which is a pair or two a sample, do float64 distances decide. A row whose open pairs are many
(repeated samples, say) is done over in float64.

Shapes: N samples, D features, R ranks asked for, B rows of a block, M candidates of a row, Q open pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from unseen.probes.inputs import Float32Array, Float64Array, FloatArray, IntArray, unit_scaled
from unseen.probes.pair_distances import for_squared_distances
from unseen.probes.row_blocks import row_threads

_Counts: TypeAlias = npt.NDArray[np.int64] | Float64Array

TIE_TOLERANCE = 1e-13  # of |x|^2 + d^2: about a hundred times the rounding of a float64 distance
# distances that a thread ranks at once: 4 MiB, up to 30 MiB with candidates and working copies; more where
# `for_squared_distances` gives at least 256 rows
_BLOCK_DISTANCES = 2**20
_ROUNDING = 2.0**-24  # of one float32 operation, relative
_MOST_OPEN = 64  # pairs of a row that are settled one by one; beyond, the whole row is done over
_SPARE = 16  # candidates beyond the last place, so that what ties with it is among them
_PAIRS_AT_ONCE = 2**21  # features of open pairs that are held at once: 16 MiB, twice


def same_label_shares(features: FloatArray, targets: IntArray, ranks: IntArray) -> Float64Array:
    """For every row of ranks (R, N): share of same-label samples among the ranks[r, i] nearest of i, (R, N).

    A sample is not its own neighbour. Samples equally far at the last place share the places that are left. A rank
    of 0 is answered as rank 1. Needs N >= 2 and ranks below N.

    Args:
        features: (N, D).
        targets: Class of each sample, 0..C-1, (N,).
        ranks: Number of neighbours to look at, (R, N).
    """
    assert targets.min() >= 0
    order = np.argsort(targets, kind="stable")  # by class, so that every n-th sample is a fair share of each
    search = _Search.over(features[order], targets[order])
    ranks = np.maximum(ranks, 1)[:, order]
    shares = np.empty(ranks.shape)  # (R, N)

    def fill(rows: slice, distances: Float32Array) -> None:
        shares[:, order[rows]] = search.shares(rows, distances, ranks[:, rows])

    most_rows = max(1, _BLOCK_DISTANCES // len(order))
    with row_threads() as threads:
        for_squared_distances(search.single, search.single_squares, fill, threads, most_rows=most_rows)
    return shares


@dataclass(frozen=True)
class _Candidates:
    """The nearest samples of each row of a block.

    Attributes:
        distances: Squared, less |x|^2 of the row's sample, in the order of the samples, (B, M) float32; infinite behind
            the last candidate.
        nearest: The same, nearest first.
        places: Where they are in the block of distances, read row by row, (total,).
        begins: Where each row begins in `places`, (B,).
        reach: Samples beyond this distance are missing, (B,).
    """

    distances: Float32Array
    nearest: Float32Array
    places: IntArray
    begins: IntArray
    reach: Float32Array


@dataclass(frozen=True)
class _Search:
    """Samples to search among.

    Squared distances are |x|^2 + |y|^2 - 2 x.y after a shift that puts the sample nearest to the mean at the
    origin: the common offset, which would eat the digits, is gone, and because a shift by a float32 sample is
    exact in float64, equal distances of coarse data (pixels) stay equal.

    Attributes:
        points: (N, D) float64.
        squares: Their squared norms, (N,).
        single: The points in float32, (D, N).
        single_squares: The squared norms in float32.
        targets: Classes, ascending, (N,).
        classes: Where each class begins, and the end, (C + 1,).
    """

    points: Float64Array
    squares: Float64Array
    single: Float32Array
    single_squares: Float32Array
    targets: IntArray
    classes: IntArray

    @classmethod
    def over(cls, features: FloatArray, targets: IntArray) -> _Search:
        """Return a search among samples that are in the order of their classes 0, 1, ..."""
        points = unit_scaled(features).astype(np.float64)  # (N, D)
        center = np.argmin(np.square(points - points.mean(axis=0)).sum(axis=1))
        points -= points[center].copy()
        squares = np.einsum("nd,nd->n", points, points)  # (N,)
        return cls(
            points,
            squares,
            points.T.astype(np.float32, order="C"),
            squares.astype(np.float32),
            targets,
            np.searchsorted(targets, np.arange(targets[-1] + 2)),
        )

    def shares(self, rows: slice, distances: Float32Array, ranks: IntArray) -> Float64Array:
        """Return the shares (R, B) of some rows for ranks (R, B).

        Args:
            rows: Which.
            distances: Squared, less |x|^2 of the row's sample, (B, N); will be changed.
            ranks: Number of neighbours to look at, (R, B).
        """
        found = self._candidates(rows, distances, int(ranks.max()))
        last = _pick(found.nearest, ranks.max(axis=0) - 1)  # (B,)
        slack = self._rounding(rows, last)  # (B,)
        shares = np.empty(ranks.shape)
        undecided = np.zeros(ranks.shape[1], dtype=bool)  # (B,)
        for r, rank in enumerate(ranks):
            shares[r], unsure = self._share(rows, distances, rank, found, slack)
            undecided |= unsure
        again = np.flatnonzero(undecided)
        step = max(1, _BLOCK_DISTANCES // 4 // len(self.points))
        for start in range(0, len(again), step):
            some = again[start : start + step]
            shares[:, some] = self._shares_in_float64(some + rows.start, ranks[:, some])
        return shares

    # ------------------------------------------------------------------ float32
    def _candidates(self, rows: slice, distances: Float32Array, last_place: int) -> _Candidates:
        """Return at least the `last_place` nearest of each row, with few exceptions that have a short reach."""
        own = np.arange(rows.start, rows.stop)
        distances[own - rows.start, own] = np.nan  # compares false with everything
        reach = self._reach(distances, last_place + _SPARE)  # (B,)
        places = np.flatnonzero(distances <= reach[:, None])  # (total,)
        bounds = np.searchsorted(places, np.arange(len(own) + 1) * distances.shape[1])  # (B + 1,)
        counts = np.diff(bounds)  # (B,)
        width = max(int(counts.max()), last_place) + 1  # so that every place has one behind it
        taken = np.arange(width) < counts[:, None]  # (B, M)
        near = np.full(taken.shape, np.inf, dtype=np.float32)
        near[taken] = distances.ravel()[places]
        return _Candidates(near, np.sort(near, axis=1), places, bounds[:-1], reach)

    def _reach(self, distances: Float32Array, wanted: int) -> Float32Array:
        """Return a distance within which a row has at least `wanted` samples, nearly always, and not many more.

        It is read off every n-th sample, at a place three standard deviations behind the one that is right on
        average.
        """
        stride = int(np.clip(wanted // 24, 1, 8))
        share = wanted / stride
        place = math.ceil(share + 3 * math.sqrt(share)) if stride > 1 else wanted
        sample = distances[:, ::stride]
        if place >= sample.shape[1] - 1:
            return np.full(len(distances), np.inf, dtype=np.float32)
        ranked = np.partition(sample, place, axis=1)  # NaN, a row's own place, goes last
        return ranked[:, place]

    def _rounding(self, rows: slice, last: Float32Array) -> Float64Array:
        """Return how far a float32 distance can be from the true one, for all that matter to a row, (B,).

        A product of D terms is off by at most (D + 3) u |x| |y| (Higham, Accuracy and Stability, eq. 3.5, with the
        rounding of x and y), the rest by 2 u |y|^2. A sample y with |y| > 2 (|x| + d), d the distance at the last
        place, is farther than d by more than any rounding; so |y| is at most that.

        Args:
            rows: Which samples x.
            last: Squared distance at the last place, less |x|^2, (B,).
        """
        norms = np.sqrt(self.squares[rows])
        far = norms + np.sqrt(np.maximum(last + self.squares[rows], 0))
        largest = np.minimum(2 * far, math.sqrt(self.squares.max()))
        terms = 2 * (self.points.shape[1] + 4) * norms * largest + 2 * largest**2
        slack: Float64Array = 1.02 * _ROUNDING * terms + 1e-30  # the last for products below float32's range
        return slack

    def _share(
        self,
        rows: slice,
        distances: Float32Array,
        rank: IntArray,
        found: _Candidates,
        slack: Float64Array,
    ) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
        """Return share (B,) for one rank (B,), and where it is not known, (B,)."""
        last = _pick(found.nearest, rank - 1).astype(np.float64)  # (B,)
        # in float32, rounded outwards: what is at `below` or before it is surely nearer than the last place, and what
        # is behind that and not behind `high` is open
        below = np.nextafter((last - 2 * slack).astype(np.float32), np.float32(-np.inf))
        high = np.nextafter((last + 2 * slack).astype(np.float32), np.float32(np.inf))
        # how many are surely nearer, and how many with the open ones, (B,): for most rows only the last place is open
        before, until = rank - 1, rank.copy()
        nearer = np.where(before > 0, _pick(found.nearest, np.maximum(before, 1) - 1), -np.inf)
        crowded = np.flatnonzero((nearer > below) | (_pick(found.nearest, rank) <= high))
        before[crowded] = _count(found.nearest[crowded], below[crowded])
        until[crowded] = _count(found.nearest[crowded], high[crowded])
        unsure = ~np.isfinite(last) | (high >= found.reach) | (until - before > _MOST_OPEN)
        some = crowded[~unsure[crowded]]
        limits = high.copy()
        limits[some] = below[some]
        hits = self._mates_within(rows, distances, limits).astype(np.float64)
        if len(some):
            near = found.distances[some]
            group, inner = np.nonzero((near > below[some, None]) & (near <= high[some, None]))  # (Q,)
            others = found.places[found.begins[some][group] + inner] - some[group] * distances.shape[1]
            hits[some] += self._settle(some + rows.start, rank[some] - before[some], group, others)
        share: Float64Array = hits / rank
        return share, unsure

    def _mates_within(self, rows: slice, distances: Float32Array, limits: Float32Array) -> IntArray:
        """Return how many other samples of its label are at most at a row's limit (B,), of distances (B, N)."""
        counts = np.empty(len(limits), dtype=np.int64)
        for label in range(self.targets[rows.start], self.targets[rows.stop - 1] + 1):
            begin, end = self.classes[label], self.classes[label + 1]
            own = slice(max(begin, rows.start) - rows.start, min(end, rows.stop) - rows.start)
            counts[own] = _count(distances[own, begin:end], limits[own])
        return counts

    # ------------------------------------------------------------------ float64
    def _settle(self, samples: IntArray, places: IntArray, group: IntArray, others: IntArray) -> Float64Array:
        """Return how many of the places left for the open pairs go to each sample's label, (G,).

        Args:
            samples: The rows' samples, (G,).
            places: How many are left, (G,).
            group: Which of the rows an open pair belongs to, ascending, (Q,).
            others: Its other sample, (Q,).
        """
        sizes = np.bincount(group)  # (G,)
        begin = np.cumsum(sizes) - sizes  # (G,)
        exact = np.empty(len(group))
        step = max(1, _PAIRS_AT_ONCE // self.points.shape[1])
        for start in range(0, len(group), step):
            pairs = slice(start, start + step)
            inner_products = np.einsum(
                "qd,qd->q", self.points[samples[group[pairs]]], self.points[others[pairs]]
            )
            exact[pairs] = self.squares[others[pairs]] - 2 * inner_products
        same = self.targets[others] == self.targets[samples[group]]
        ranked = exact[np.lexsort((exact, group))]  # (Q,), group by group, nearest first
        last = ranked[begin + places - 1]  # (G,)
        tolerance = _tie_tolerance(last, self.squares[samples])
        upper, lower = (last + tolerance)[group], (last - tolerance)[group]
        within, hits = (
            np.bincount(group, weights=exact <= upper),
            np.bincount(group, (exact <= upper) & same),
        )
        closer, sure = (np.bincount(group, weights=exact < lower), np.bincount(group, (exact < lower) & same))
        return _ties_shared(places, within, hits, closer, sure)

    def _shares_in_float64(self, samples: IntArray, ranks: IntArray) -> Float64Array:
        """Return the shares (R, G) of samples (G,) for ranks (R, G), without a short cut."""
        distances = (-2.0 * self.points[samples]) @ self.points.T  # (G, N)
        distances += self.squares
        distances[np.arange(len(samples)), samples] = np.inf
        same = np.where(self.targets[samples, None] == self.targets, distances, np.inf)  # (G, N)
        ordered = np.partition(distances, np.unique(ranks - 1), axis=1)  # right at the places asked for
        shares = np.empty(ranks.shape)
        for r, rank in enumerate(ranks):
            last = np.take_along_axis(ordered, rank[:, None] - 1, axis=1)  # (G, 1)
            tolerance = _tie_tolerance(last, self.squares[samples, None])
            counts = [
                np.count_nonzero(what, axis=1)
                for what in (
                    distances <= last + tolerance,
                    same <= last + tolerance,
                    distances < last - tolerance,
                    same < last - tolerance,
                )
            ]
            shares[r] = _ties_shared(rank, *counts) / rank
        return shares


def _pick(values: npt.NDArray[Any], places: IntArray) -> npt.NDArray[Any]:
    """Return one value of each row: values (B, M) at places (B,)."""
    return np.take_along_axis(values, places[:, None], axis=1)[:, 0]


def _count(values: Float32Array, limits: Float32Array) -> IntArray:
    """Return how many values (B, M) of each row are at most its limit (B,)."""
    counts: IntArray = np.count_nonzero(values <= limits[:, None], axis=1)
    return counts


def _tie_tolerance(last: Float64Array, squares: Float64Array) -> Float64Array:
    tolerance: Float64Array = TIE_TOLERANCE * (squares + np.maximum(last + squares, 0.0))
    return tolerance


def _ties_shared(
    places: _Counts,
    within: _Counts,
    hits: _Counts,
    closer: _Counts,
    sure: _Counts,
) -> Float64Array:
    """Return how many of the places go to same-label samples, those that tie for the last ones sharing them.

    Args:
        places: How many there are.
        within: Samples as near as the last place or tied with it; at least `places`.
        hits: Those of them with the same label.
        closer: Samples nearer than the last place and not tied with it.
        sure: Those of them with the same label.
    """
    tied = np.maximum(within - closer, 1)
    return np.asarray(sure + (hits - sure) * ((places - closer) / tied), dtype=np.float64)
