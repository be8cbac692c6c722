"""Seeds crossed with class splits: where the variance is, means over both, and how many of each a difference needs.

Legend: S class splits (choices of the unseen classes), T training seeds. A table is (S, T), NaN where not run. Its
model is y = mean + split + seed + residual, all three random and independent (two-way random effects without
replicates, Searle, Casella and McCulloch 1992, ch. 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.intervals import FEWEST, Estimate, Floats, around, estimate, is_spread

MOST_UNITS = 1000  # more are not suggested


@dataclass(frozen=True)
class Components:
    """Variances of one run; NaN where the table cannot tell."""

    split: float
    seed: float  # what a seed does to all splits alike
    residual: float  # what is left: a seed's effect on one split, k-means

    def of_split_mean(self, seeds: int) -> float:
        """Return the variance of the mean of one split over so many seeds of its own."""
        return self.split + (self.seed + self.residual) / seeds


@dataclass(frozen=True, eq=False)
class SplitsAndSeeds:
    """The mean of a table and what it generalises over."""

    over_both: Estimate  # over class splits and seeds; n splits; no interval below three splits or two seeds
    over_splits: Estimate  # over class splits, for these seeds: units are split means
    over_seeds: Estimate  # over seeds, for these class splits: units are seed means
    components: Components
    splits: NDArray[np.intp]  # rows that count
    seeds: NDArray[np.intp]  # columns that count


def splits_and_seeds(table: Floats) -> SplitsAndSeeds:
    """Analyse a table of splits and seeds.

    Rows and columns are left out until no gap is left, always the one with the largest share of gaps.
    The variance of the mean over both is (MS_split + max(MS_seed - MS_residual, 0)) / (S T), its degrees of freedom
    are Satterthwaite's (1946) for that sum. With one seed, what a seed does to all splits alike cannot be seen.

    Args:
        table: (S, T), NaN where not run.
    """
    splits, seeds = _without_gaps(np.isfinite(table))
    y = table[np.ix_(splits, seeds)]
    s, t = y.shape
    if not y.size:
        return SplitsAndSeeds(Estimate(), Estimate(), Estimate(), _UNKNOWN, splits, seeds)
    over_splits, over_seeds = estimate(y.mean(axis=1)), estimate(y.mean(axis=0))
    both = Estimate(float(y.mean()), n=s)
    if s < 2 or t < 2:
        return SplitsAndSeeds(both, over_splits, over_seeds, _UNKNOWN, splits, seeds)
    ms_split, ms_seed, ms_residual = _mean_squares(y)
    parts = Components(
        split=max(0.0, (ms_split - ms_residual) / t),
        seed=max(0.0, (ms_seed - ms_residual) / s),
        residual=ms_residual,
    )
    std = math.sqrt(parts.of_split_mean(1))
    both = Estimate(both.mean, std, n=s)
    variance = ms_split + max(ms_seed - ms_residual, 0.0)
    error = math.sqrt(variance / (s * t))
    if s >= FEWEST and is_spread(error, both.mean):
        squares = ms_split**2 / (s - 1)
        if ms_seed > ms_residual:
            squares += ms_seed**2 / (t - 1) + ms_residual**2 / ((s - 1) * (t - 1))
        both = around(both.mean, std, error, s, df=max(1.0, variance**2 / squares))
    return SplitsAndSeeds(both, over_splits, over_seeds, parts, splits, seeds)


_UNKNOWN = Components(math.nan, math.nan, math.nan)


def _without_gaps(known: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns between which no cell is missing."""
    rows, columns = np.arange(known.shape[0]), np.arange(known.shape[1])
    while rows.size and columns.size:
        gaps = ~known[np.ix_(rows, columns)]
        if not gaps.any():
            break
        of_rows, of_columns = gaps.mean(axis=1), gaps.mean(axis=0)
        if of_rows.max() >= of_columns.max():
            rows = np.delete(rows, of_rows.argmax())
        else:
            columns = np.delete(columns, of_columns.argmax())
    return (rows, columns) if rows.size and columns.size else (rows[:0], columns[:0])


def _mean_squares(y: Floats) -> tuple[float, float, float]:
    """Return the mean squares of rows, columns and what is left of an (S, T) table, S and T at least 2."""
    s, t = y.shape
    row, column = y.mean(axis=1, keepdims=True), y.mean(axis=0, keepdims=True)
    rest = y - row - column + y.mean()
    return (
        t * float(row.var(ddof=1)),
        s * float(column.var(ddof=1)),
        float((rest**2).sum()) / ((s - 1) * (t - 1)),
    )


def power(difference: float, sd: float, n: int) -> float:
    """Return how often the paired t-test finds a true difference with n units, at two-sided p ≤ .05.

    Args:
        difference: True mean of the paired differences.
        sd: Their standard deviation over units.
        n: Units that both networks have; below three there is no test: 0.
    """
    from scipy.special import nctdtr, stdtrit

    if n < FEWEST:
        return 0.0
    if sd == 0:
        return 1.0 if difference else 0.05
    limit, shift = float(stdtrit(n - 1, 0.975)), abs(difference) / sd * math.sqrt(n)
    return 1 - float(nctdtr(n - 1, shift, limit)) + float(nctdtr(n - 1, shift, -limit))


def needed(difference: float, sd: float, chance: float = 0.8) -> int | None:
    """Return the fewest units with which the paired t-test finds a difference in 80 % of cases.

    None: more than 1,000. The sd is itself an estimate: with few units the answer is rough.

    Args:
        difference: Difference to be found.
        sd: Standard deviation of the paired differences over units. For class splits of T seeds each it is
            `sqrt(components.of_split_mean(T))` of the table of differences.
        chance: Power.

    >>> needed(0.05, 0.04)
    8
    """
    return next((n for n in range(FEWEST, MOST_UNITS + 1) if power(difference, sd, n) >= chance), None)
