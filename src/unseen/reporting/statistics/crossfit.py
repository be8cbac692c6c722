"""What a choice is worth: a layer is chosen on all units but one and scored on that one.

The largest of L means is above the truth, the more the larger L is, even with many units. Choosing on n - 1 units and
scoring on the other, in turn for each, has no such gain (leave-one-out cross-validation, Stone 1974, with the layer as
the parameter). The n scores depend on each other, because each helps to choose for the others; s / sqrt(n) is then too
small. The standard error is therefore the jackknife's (Efron and Stein 1981): the whole procedure, choosing included,
is repeated without each unit. It equals s / sqrt(n) where the choice is always the same, and is never taken as less:
with three units the repetitions can be nearly equal by chance.

Where each of T seeds was run on each of S class splits, a run is scored by a choice made on the runs that share neither
its split nor its seed: a seed that favours a layer in all splits would otherwise choose what it is scored on. The
jackknife then goes over splits and over seeds, and the interval takes both (`crossed`).
`benchmarks/error_rates.py` measures coverage and error rates.

Legend: S units (independent replicates, as in `intervals`: class splits, or seeds, then T = 1), T seeds, L layers;
arrays here have no gaps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.statistics.crossed import Error
from unseen.reporting.statistics.intervals import (
    FEWEST,
    Estimate,
    Floats,
    around,
    complete,
    p_above,
    reach,
    two_sided_p,
)

# (..., L) means of the runs to choose on, (..., L) the run to score -> (...,) its score
Score = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Scores of runs by choices made without them."""

    table: Floats  # (S, T) score of each run; NaN for S = 1, which leaves nothing to choose on
    without_unit: Floats  # (S,) mean score of the procedure repeated without each unit; NaN below S = 3
    without_seed: Floats  # (T,) without each seed; the mean score itself where T = 1

    @property
    def scores(self) -> Floats:
        """(S,) scores of the units."""
        scores: Floats = self.table.mean(axis=1)
        return scores

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.table)

    @property
    def mean(self) -> float:
        """Mean score."""
        return float(self.table.mean()) if self.n else math.nan

    @cached_property
    def error(self) -> Error:
        """Error of the mean score, over units and seeds; NaN below three units."""
        s, t = self.table.shape
        if s < FEWEST:
            return Error(math.nan, 1.0)
        of_units = _variance_of_mean(self.scores, self.without_unit)
        if t == 1:
            return Error(of_units, s - 1.0)
        of_seeds = _variance_of_mean(self.table.mean(axis=0), self.without_seed)
        return Error(of_units, s - 1.0, of_seeds, t - 1.0)

    @property
    def estimate(self) -> Estimate:
        """Mean, standard deviation of the units' scores, interval by t."""
        if self.n < 2:
            return Estimate(n=self.n)
        std = float(self.scores.std(ddof=1))
        return around(self.mean, std, float(reach(self.mean, self.error, self.n)), self.n)

    @property
    def p_above(self) -> float:
        """One-sided p of a mean of zero or less; NaN below three units."""
        return p_above(self.mean, self.error, self.n)

    @property
    def p(self) -> float:
        """Two-sided p of a mean of zero; NaN below three units."""
        return two_sided_p(self.mean, self.error, self.n)

    def __sub__(self, other: CrossFit) -> CrossFit:
        """Return the paired difference; both must be over the same units and seeds."""
        return CrossFit(
            self.table - other.table,
            self.without_unit - other.without_unit,
            self.without_seed - other.without_seed,
        )


def _variance_of_mean(scores: Floats, without: Floats) -> float:
    """Return the larger of the jackknife's variance, from the means without each of (n,) units, and s² / n."""
    n = len(scores)
    return max((n - 1) * float(without.var()), float(scores.var(ddof=1)) / n)


def cross_fit(values: Floats, score: Score) -> CrossFit:
    """Return the scores of runs, each by a choice on the mean of runs that share neither its unit nor its seed.

    Args:
        values: (S, L) units, or (S, T, L) splits and seeds; without gaps.
        score: Chooses on means and scores a run.
    """
    values = values if values.ndim == 3 else values[:, None]
    s, t = values.shape[:2]
    if s < 2:
        return CrossFit(*(np.full(shape, np.nan) for shape in ((s, t), s, t)))
    table = _scores(values, score)
    without = [np.full(s, np.nan), np.full(t, table.mean())]
    for axis in (0, 1):
        if s >= FEWEST and (axis == 0 or t > 1):
            left = np.moveaxis(values[(slice(None),) * axis + (_others(values.shape[axis]),)], axis, 0)
            # left: one table for each that is left out
            without[axis] = _scores(left, score).mean(axis=(1, 2))
    return CrossFit(table, *without)


def _others(n: int) -> NDArray[np.intp]:
    """Return (n, n - 1): for each number below n, the others."""
    return np.nonzero(~np.eye(n, dtype=bool))[1].reshape(n, n - 1)


def _scores(values: Floats, score: Score) -> Floats:
    """Return (..., S, T) scores of (..., S, T, L) runs; S at least 2. With T = 1 the seed is shared."""
    s, t = values.shape[-3:-1]
    of_split, total = values.sum(axis=-2, keepdims=True), values.sum(axis=(-3, -2), keepdims=True)
    if t == 1:
        return score((total - values) / (s - 1), values)
    others = total - of_split - values.sum(axis=-3, keepdims=True) + values
    return score(others / ((s - 1) * (t - 1)), values)


def at_best(means: Floats, unit: Floats) -> Floats:
    """Return the unit's value at the layer with the largest mean; the shallowest of several."""
    best: Floats = np.take_along_axis(unit, means.argmax(axis=-1, keepdims=True), axis=-1)[..., 0]
    return best


@dataclass(frozen=True)
class Difference:
    """Two networks over the units that both have."""

    g: Estimate  # first - second of the cross-fitted g
    p: float  # two-sided; NaN below three units
    first_above: int  # in so many of the n units


def difference(first: Floats, second: Floats) -> Difference:
    """Compare two networks by the cross-fitted g, paired by unit, and by seed.

    Plain g would favour the network with more layers: its best is the largest of more numbers.

    Args:
        first: (U, L) or (S, T, L) NMI of one network, NaN where it was not run.
        second: The same of the other, M layers, with the same units (and seeds) at the same places.
    """
    one, two = complete(first), complete(second)
    units, seeds = np.intersect1d(one.units, two.units), np.intersect1d(one.seeds, two.seeds)
    parts = []
    for part in (one, two):
        values = part.values[np.isin(part.units, units)]
        parts.append(
            cross_fit(values[:, np.isin(part.seeds, seeds)] if values.ndim == 3 else values, at_best)
        )
    pairs = parts[0] - parts[1]
    above_in = int((pairs.scores > 0).sum())
    return Difference(pairs.estimate if pairs.n else Estimate(), pairs.p, above_in)
