"""How far the share of variance that a line explains may be from the one found: an interval of R²."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats

from unseen.reporting.statistics.intervals import CONFIDENCE, Floats

FEWEST = 4
_NODES = 32
_MOST = 1 - 1e-7  # true correlations are sought below


def interval(r: float, n: int) -> tuple[float, float]:
    """Return the ends of a 95 % interval of R², the squared correlation of two normal quantities.

    Of all true correlations at which one as low, or as high, as the one found has a probability above 2.5 %, the
    squares. With six points and R² = .8 it reaches from .07 to .96. `benchmarks/transfer_lines.py` simulates its
    coverage: 94 to 98 % of normal pairs, 87 to 98 % with skewed, heavy-tailed or unequal errors.

    Args:
        r: The correlation found; its sign matters where zero is inside.
        n: Points.

    Returns:
        NaN for n < 4, and where a line goes through all points.
    """
    if n < FEWEST or not abs(r) < 1 - 1e-12:
        return math.nan, math.nan
    tail = (1 - CONFIDENCE) / 2
    ends = [
        optimize.brentq(lambda rho, p=p: _probability_at_most(r, rho, n) - p, -_MOST, _MOST, xtol=1e-6)
        for p in (1 - tail, tail)
    ]
    low, high = sorted(end**2 for end in ends)
    return (0.0 if ends[0] < 0 < ends[1] else low), high


def _probability_at_most(r: float, rho: float, n: int) -> float:
    """Return the probability that n normal pairs with true correlation rho have one of at most r.

    r / √(1 - r²) is (Z + rho / √(1 - rho²) · X) / E with Z normal and X, E chi of n - 1 and n - 2 degrees of freedom:
    the spread of x, and that of the errors.
    """
    (x, of_x), (e, of_e) = _chi(n - 1), _chi(n - 2)
    limits = r / math.sqrt(1 - r**2) * e[:, None] - rho / math.sqrt(1 - rho**2) * x
    return float(of_e @ special.ndtr(limits) @ of_x)


@lru_cache(maxsize=32)
def _chi(freedom: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of the chi distribution: Gauss' rule over its quantiles."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return np.sqrt(stats.chi2.ppf((nodes + 1) / 2, freedom)), weights / 2
