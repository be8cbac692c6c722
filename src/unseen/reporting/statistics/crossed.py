"""The error of a mean over class splits *and* seeds, where each seed was run on each split.

A seed may do the same to all splits: it gives them one start and one order of images. Split means then move together,
and their spread does not show it; the spread of seed means does. An interval that takes both, each with the t of its
own degrees of freedom, holds the truth at least as often as it says however the variance is divided (Banerjee 1961).
One number of degrees of freedom for their sum (Satterthwaite 1946) gives shorter intervals, which fail where seeds do
most and are few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Error:
    """Error of one mean, or of (L,) means."""

    units: Any  # variance of the mean by the spread of its units: s² / n
    df: float
    seeds: Any = 0.0  # by the spread of the seeds that the units share; 0 where they share fewer than two
    df_seeds: float = 1.0

    @property
    def total(self) -> Any:
        """Standard error, all parts together."""
        return (self.units + self.seeds) ** 0.5

    def reach(self, level: float) -> Any:
        """Return how far a quantile lies from the mean, for levels above one half: sqrt(sum of t² s² / n)."""
        from scipy.special import stdtrit  # scipy.stats takes half a second to load

        parts = stdtrit(self.df, level) ** 2 * self.units + stdtrit(self.df_seeds, level) ** 2 * self.seeds
        return parts**0.5

    def p_above(self, mean: float) -> float:
        """Return the one-sided p of a true mean of zero or less: the level whose reach is the mean."""
        from scipy.optimize import brentq
        from scipy.special import stdtr

        if not self.seeds:
            return float(stdtr(self.df, -mean / math.sqrt(self.units)))
        if mean <= 0:
            return 1.0 - self.p_above(-mean) if mean else 0.5
        if self.reach(1 - _SMALLEST) <= mean:
            return _SMALLEST
        return float(brentq(lambda p: float(self.reach(1 - p)) - mean, _SMALLEST, 0.5, xtol=1e-12))


_SMALLEST = 1e-9  # p
