"""What a choice is worth: a layer is chosen on all units but one and scored on that one.

The largest of L means is above the truth, the more the larger L is, even with many units. Choosing on n - 1 units and
scoring on the other, in turn for each, has no such gain (leave-one-out cross-validation, Stone 1974, with the layer as
the parameter). The n scores depend on each other, because each helps to choose for the others; s / sqrt(n) is then too
small. The standard error is therefore the jackknife's (Efron and Stein 1981): the whole procedure, choosing included,
is repeated without each unit. It equals s / sqrt(n) where the choice is always the same, and is never taken as less:
with three units the repetitions can be nearly equal by chance. `benchmarks/error_rates.py` measures coverage and error
rates.

Legend: n units, L layers. Units are independent replicates, as in `intervals`; arrays here have no gaps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unseen.reporting.intervals import FEWEST, Estimate, Floats, around, complete, p_above

# (..., L) means of the units to choose on, (..., L) the unit to score -> (...,) its score
Score = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Scores of n units by choices made without them."""

    scores: Floats  # (n,); NaN for n = 1, which leaves nothing to choose on
    without: Floats  # (n,) mean score of the procedure repeated without each unit; NaN below n = 3

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.scores)

    @property
    def mean(self) -> float:
        """Mean score."""
        return float(self.scores.mean()) if self.n else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean score, the larger of the jackknife's and s / sqrt(n); NaN below three units."""
        if self.n < FEWEST:
            return math.nan
        centred = self.without - self.without.mean()
        jackknife = math.sqrt((self.n - 1) / self.n * float((centred**2).sum()))
        return max(jackknife, float(self.scores.std(ddof=1)) / math.sqrt(self.n))

    @property
    def estimate(self) -> Estimate:
        """Mean, standard deviation of the scores, interval by t with n - 1 degrees of freedom."""
        if self.n < 2:
            return Estimate(n=self.n)
        return around(self.mean, float(self.scores.std(ddof=1)), self.error, self.n)

    @property
    def p_above(self) -> float:
        """One-sided p of a mean of zero or less; NaN below three units."""
        return p_above(self.mean, self.error, self.n)

    def __sub__(self, other: CrossFit) -> CrossFit:
        """Return the paired difference; both must be over the same units."""
        return CrossFit(self.scores - other.scores, self.without - other.without)


def cross_fit(values: Floats, score: Score) -> CrossFit:
    """Return the scores of n units, each by a choice on the mean of the others.

    Args:
        values: (n, L) without gaps.
        score: Chooses on means and scores a unit.
    """
    n = len(values)
    if n < 2:
        return CrossFit(np.full(n, np.nan), np.full(n, np.nan))
    total = values.sum(axis=0)
    scores = score((total - values) / (n - 1), values)  # (n,)
    if n < FEWEST:
        return CrossFit(scores, np.full(n, np.nan))
    pairs = (total - values[:, None] - values[None]) / (n - 2)  # (n, n, L): without u, scoring v
    of_pairs = score(pairs, np.broadcast_to(values[None], pairs.shape))
    return CrossFit(scores, (of_pairs.sum(axis=1) - of_pairs.diagonal()) / (n - 1))


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
    units: tuple[int, ...]  # which units


def difference(first: Floats, second: Floats) -> Difference:
    """Compare two networks by the cross-fitted g, paired by unit.

    Plain g would favour the network with more layers: its best is the largest of more numbers.

    Args:
        first: (U, L) NMI of one network, NaN where it was not run.
        second: (U, M) of the other, with the same units in the same rows.
    """
    one, two = complete(first), complete(second)
    units = np.intersect1d(one.units, two.units)
    parts = [cross_fit(part.values[np.isin(part.units, units)], at_best) for part in (one, two)]
    pairs = parts[0] - parts[1]
    above, below = pairs.p_above, (parts[1] - parts[0]).p_above
    p = min(1.0, 2 * min(above, below)) if pairs.n >= FEWEST else math.nan
    above_in = int((pairs.scores > 0).sum())
    return Difference(pairs.estimate if pairs.n else Estimate(), p, above_in, tuple(units.tolist()))
