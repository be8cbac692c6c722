"""Seeds crossed with class splits: where the variance is, and how many of each a difference needs.

Legend: S class splits (choices of the unseen classes), T training seeds. A table is (S, T), NaN where not run. Its
model is y = mean + split + seed + residual, all three random and independent (two-way random effects without
replicates, Searle, Casella and McCulloch 1992, ch. 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unseen.reporting.statistics.intervals import FEWEST, Floats, without_gaps

_MOST_UNITS = 1000  # more are not suggested
_POWER = 0.8


@dataclass(frozen=True)
class Components:
    """Variances of one run; NaN where the table cannot tell."""

    split: float
    seed: float  # what a seed does to all splits alike
    residual: (
        float  # what is left: a seed's effect on one split, k-means; of a single split all that seeds do
    )

    def splits_needed(self, difference: float, seeds: int) -> int | None:
        """Return how many splits of the same so many seeds find a difference: see `needed`."""
        sd, alike = math.sqrt(self.split + self.residual / seeds), math.sqrt(self.seed / seeds)
        return needed(difference, sd, alike=alike)

    def seeds_needed(self, difference: float) -> int | None:
        """Return how many seeds find a difference on one split: see `needed`."""
        return needed(difference, math.sqrt(float(np.nansum([self.seed, self.residual]))))


def components(table: Floats) -> Components:
    """Return the variances of a table of splits and seeds.

    Rows and columns with gaps are left out. With one seed, what a seed does to all splits alike cannot be seen; with
    one split, the spread of its seeds is the residual.

    Args:
        table: (S, T), NaN where not run.
    """
    y = table[np.ix_(*without_gaps(np.isfinite(table)))]
    s, t = y.shape
    if s < 2 or t < 2:
        return Components(math.nan, math.nan, float(y.var(ddof=1)) if s == 1 and t > 1 else math.nan)
    ms_split, ms_seed, ms_residual = _mean_squares(y)
    return Components(
        split=max(0.0, (ms_split - ms_residual) / t),
        seed=max(0.0, (ms_seed - ms_residual) / s),
        residual=ms_residual,
    )


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


def power(difference: float, sd: float, n: int, alike: float = 0.0) -> float:
    """Return how often the paired t-test finds a true difference with n units, at two-sided p ≤ .05.

    Args:
        difference: True mean of the paired differences.
        sd: Their standard deviation over units.
        n: Units that both networks have; below three there is no test: 0.
        alike: Standard error from what moves all units alike, such as seeds that all splits share; added to that of
            the units, at their degrees of freedom.
    """
    from scipy.special import nctdtr, stdtrit

    error = math.hypot(sd / math.sqrt(n), alike)
    if n < FEWEST:
        return 0.0
    if error == 0:
        return 1.0 if difference else 0.05
    limit, shift = float(stdtrit(n - 1, 0.975)), abs(difference) / error
    return 1 - float(nctdtr(n - 1, shift, limit)) + float(nctdtr(n - 1, shift, -limit))


def needed(difference: float, sd: float, alike: float = 0.0) -> int | None:
    """Return the fewest units with which the paired t-test finds a difference in 80 % of cases.

    None: more than 1,000. The sd is itself an estimate: with few units the answer is rough.

    Args:
        difference: Difference to be found.
        sd: Standard deviation of the paired differences over units.
        alike: Standard error from what moves all units alike.

    >>> needed(0.05, 0.04)
    8
    """
    if power(difference, sd, _MOST_UNITS, alike) < _POWER:
        return None
    return next(n for n in range(FEWEST, _MOST_UNITS + 1) if power(difference, sd, n, alike) >= _POWER)
