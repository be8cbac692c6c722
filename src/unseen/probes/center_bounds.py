"""Bounds on the distances between samples and k-means centers, so that samples that surely stay are left out of a step.

A sample whose center is surely nearer than every other one keeps it. One bound for all others (Hamerly 2010, section 3)
follows the centers' moves at little cost. With many centers it is soon spoiled by the one that moves farthest; the
samples it leaves open are then asked again, with one bound for each group of centers (Ding et al. 2015, Yinyang
k-means). Rounding is on the safe side.

Shapes: N samples, D features, C clusters, S starts, S' of them that still move, G groups of centers, B rows of a block.
"""

from __future__ import annotations

import numpy as np

from unseen.probes.inputs import Float32Array, Float64Array, IntArray
from unseen.probes.row_blocks import RowThreads

# Of the largest array of a block: two megabytes. Smaller blocks lose more to the cost of each of the many small steps.
_BLOCK_VALUES = 2**19
_LEAST_GROUPED = 16  # fewer centers gain less from groups than these cost
_MOST_GROUPS = 128  # bounds of a sample; up to so many, a group is one center
_ROUNDING = 2.0**-24  # of one float32 operation, relative


class CenterBounds:
    """What is known about every sample's distances.

    Attributes:
        own: At least the distance to the own center, (S, N).
        other: At most the distance to any other center, (S, N).
        groups: The finer bounds; None: there are none. Starts side by side look at every sample that one of them has
            open, so that leaving out more of one start's gains little.
    """

    def __init__(self, num_starts: int, num_samples: int, num_clusters: int) -> None:
        self.own = np.full((num_starts, num_samples), np.inf)
        self.other = np.zeros(self.own.shape)
        grouped = num_starts == 1 and num_clusters >= _LEAST_GROUPED
        self.groups = _GroupBounds(num_samples, num_clusters) if grouped else None

    def open_rows(self, going: IntArray, threads: RowThreads) -> IntArray:
        """Return the samples that in any of some starts (S',) may be nearest to another center, (N',).

        Where groups know more than `other`, it is raised.
        """
        rows = np.flatnonzero((self.own[going] >= self.other[going]).any(axis=0))
        if self.groups is None or not len(rows):
            return rows
        self.other[0, rows] = np.maximum(self.other[0, rows], self.groups.nearest(rows, threads))
        still: IntArray = rows[self.own[0, rows] >= self.other[0, rows]]
        return still

    def renew(
        self,
        points: Float32Array,
        squares: Float32Array,
        centers: Float32Array,
        going: IntArray,
        rows: IntArray,
        threads: RowThreads,
    ) -> IntArray:
        """Work out the distances of some samples anew; return their nearest centers, (S', N').

        Args:
            points: (N, D).
            squares: Their squared norms, (N,).
            centers: Of the starts that still move, (S', C, D).
            going: Which starts these are, (S',).
            rows: Which samples, (N',).
            threads: Share out the rows.
        """
        num_starts, num_clusters, num_features = centers.shape
        half = half_squares(centers)  # (S', C)
        longest = np.sqrt(2 * half.max())
        everything = len(rows) == len(points)
        result = np.empty((num_starts, len(rows)), dtype=np.int64)

        def measure(block: slice) -> None:
            some = rows[block]
            near = closeness(points[block] if everything else points.take(some, axis=0), centers, half)
            near = near.reshape(-1, num_clusters)  # (B S', C)
            found, line = near.argmax(axis=1), np.arange(len(near))
            best = near[line, found].reshape(-1, num_starts)  # (B, S')
            near[line, found] = -np.inf
            second = near.max(axis=1).reshape(-1, num_starts)
            result[:, block] = found.reshape(-1, num_starts).T
            # The rounding of an inner product of D terms and of those that make a distance (Higham 2002, eq. 3.5),
            # twice: a left-out sample's distances, had they been worked out, would have had theirs.
            lengths = squares[some][:, None]  # (B, 1)
            slack = 4 * (num_features + 8) * _ROUNDING * np.square(np.sqrt(lengths) + longest)
            place = np.ix_(going, some)
            self.own[place] = np.sqrt(np.maximum(lengths - 2 * best + slack, 0)).T
            self.other[place] = np.sqrt(np.maximum(lengths - 2 * second - slack, 0)).T
            if self.groups is not None:
                self.groups.renew(some, lengths - slack, near)

        threads.map(measure, len(rows), _block(max(num_features, num_starts * num_clusters)))
        return result

    def follow(self, going: IntArray, assigned: IntArray, moves: Float64Array) -> None:
        """Widen the bounds of some starts (S',), whose centers (S', C) moved, by their moves.

        Args:
            going: Which starts, (S',).
            assigned: Center of each sample, (S', N).
            moves: How far each center moved, (S', C).
        """
        self.own[going] += np.take_along_axis(moves, assigned, axis=1)
        order = np.argsort(moves, axis=1)  # (S', C)
        farthest = np.take_along_axis(moves, order[:, -1:], axis=1)  # (S', 1)
        second = np.take_along_axis(moves, order[:, -2:-1], axis=1) if moves.shape[1] > 1 else farthest
        self.other[going] -= np.where(assigned == order[:, -1:], second, farthest)
        if self.groups is not None:
            self.groups.follow(moves[0])


class _GroupBounds:
    """One start's bounds on the distances to groups of centers, without a sample's own one."""

    def __init__(self, num_samples: int, num_clusters: int) -> None:
        size = -(-num_clusters // _MOST_GROUPS)
        self._firsts = np.arange(0, num_clusters, size)  # (G,), where a group begins
        # how far a group's centers have moved at most (G,), and the bounds plus what that was by then (N, G)
        self._moved = np.zeros(len(self._firsts))
        self._bounds = np.zeros((num_samples, len(self._firsts)), dtype=np.float32)

    def nearest(self, rows: IntArray, threads: RowThreads) -> Float32Array:
        """Return what the distance of some samples (N',) to any other center is at least, (N',)."""
        moved = self._moved.astype(np.float32)
        result = np.empty(len(rows), dtype=np.float32)

        def ask(block: slice) -> None:
            left = self._bounds.take(rows[block], axis=0)  # (B, G)
            left -= moved
            left.min(axis=1, out=result[block])

        threads.map(ask, len(rows), _block(len(self._firsts)))
        return result

    def renew(self, rows: IntArray, lengths: Float32Array, near: Float32Array) -> None:
        """Take over new bounds.

        Args:
            rows: Of which samples, (B,).
            lengths: Their squared norms, less what rounding may have added, (B, 1).
            near: Their closeness to the centers, -inf for the own one, (B, C); will be changed.
        """
        single = len(self._firsts) == near.shape[1]
        bounds = near if single else np.maximum.reduceat(near, self._firsts, axis=1)  # (B, G)
        bounds *= -2
        bounds += lengths
        np.sqrt(np.maximum(bounds, 0, out=bounds), out=bounds)
        bounds += self._moved.astype(np.float32)
        bounds *= np.float32(1 - 8 * _ROUNDING)  # more than all from the root to the comparison
        self._bounds[rows] = bounds

    def follow(self, moves: Float64Array) -> None:
        """Widen the bounds by the centers' moves, (C,)."""
        self._moved += np.maximum.reduceat(moves, self._firsts)


def closeness(points: Float32Array, centers: Float32Array, half_squares: Float32Array) -> Float32Array:
    """Return x.c - |c|^2 / 2, which falls with the distance, of samples (B, D) and centers (S, C, D), (B, S, C)."""
    result: Float32Array = points @ centers.reshape(-1, points.shape[1]).T  # (B, S C)
    result -= half_squares.ravel()
    return result.reshape(-1, *half_squares.shape)


def half_squares(centers: Float32Array) -> Float32Array:
    """Return |c|^2 / 2 of centers (S, C, D), (S, C)."""
    halves: Float32Array = np.einsum("scd,scd->sc", centers, centers) / 2
    return halves


def _block(values_of_a_row: int) -> int:
    return max(64, _BLOCK_VALUES // values_of_a_row)
