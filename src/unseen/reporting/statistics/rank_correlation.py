"""Rank correlations as the published study computes them, with what it leaves out: pure functions of numbers.

Legend: n networks, P permutations. Pairs with NaN are left out by who calls. Every p and interval here takes networks
as independent draws; networks of one family, such as one training method at ten strengths, are not.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.statistics.intervals import CONFIDENCE, Floats

FEWEST = 4  # an interval by Fisher's z needs n > 3
PERMUTATIONS = 1999
_SEED = 20240401
_AT_A_TIME = 200  # permuted distance matrices in memory: 200 x n x n numbers


def spearman_by_t(x: Floats, y: Floats) -> tuple[float, float]:
    """Return Spearman's rho with average ranks for ties, and its two-sided p by the t approximation.

    The approximation of the published study: t = rho √((n − 2)/(1 − rho²)) with n − 2 degrees of freedom. With few
    networks it is wrong, four in one order have p = 0: `association.spearman_p` counts orders instead.

    Args:
        x: (n,) without NaN.
        y: (n,) without NaN.

    Returns:
        rho and p; NaN for n < 3 or where one side is constant.

    >>> [round(number, 3) for number in spearman_by_t(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4]))]
    [0.8, 0.2]
    """
    from scipy import stats

    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan, math.nan
    result = stats.spearmanr(x, y)
    return float(result.statistic), float(result.pvalue)


def interval(rho: float, n: int) -> tuple[float, float]:
    """Return the ends of a 95 % interval of Spearman's rho.

    Fisher's z with the standard error √((1 + rho²/2)/(n − 3)) of Bonett and Wright (2000). In the simulation of
    benchmarks/spearman_intervals.py, with the ties of the 48 published networks, it covers 93 to 99 %, where the
    bootstrap falls to 88 %.

    Returns:
        NaN for n < 4, and where all networks lie in one order: Fisher's z is infinite there.

    >>> [round(end, 2) for end in interval(-0.76, 48)]
    [-0.87, -0.58]
    """
    from scipy import stats

    if n < FEWEST or not abs(rho) < 1 - 1e-12:
        return math.nan, math.nan
    reach = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach)


def partial_spearman_by_t(x: Floats, y: Floats, given: Floats) -> tuple[float, float]:
    """Return Spearman's partial correlation of x and y given a third quantity, and its p (t with n − 3 degrees).

    The partial correlation of the ranks: that of what is left of x and of y after a linear fit to the ranks of `given`.

    Args:
        x: (n,) without NaN.
        y: (n,) without NaN.
        given: (n,) without NaN.

    Returns:
        Correlation and p; NaN for n < 4 or where one side is constant or, in ranks, equal to `given`.
    """
    from scipy import stats

    xy, xz, yz = spearman_by_t(x, y)[0], spearman_by_t(x, given)[0], spearman_by_t(y, given)[0]
    free = (1 - xz**2) * (1 - yz**2)
    if len(x) < FEWEST or math.isnan(free) or free < 1e-12:
        return math.nan, math.nan
    r = max(-1.0, min(1.0, (xy - xz * yz) / math.sqrt(free)))
    degrees = len(x) - 3
    t = abs(r) * math.sqrt(degrees / max(1 - r**2, 1e-300))
    return r, float(2 * stats.t.sf(t, degrees))


def distance_correlation(x: Floats, y: Floats) -> tuple[float, float]:
    """Return the distance correlation of the values, and its p by permutation.

    Zero for independent quantities only, in a large sample; unlike Spearman's rho it also sees a dependence that rises
    and falls. In small samples it is well above zero by chance, so that it is read with its p. Székely, Rizzo, Bakirov,
    Annals of Statistics 35 (2007), the plain estimator of equations 2.9 to 2.11.

    Args:
        x: (n,) without NaN.
        y: (n,) without NaN.

    Returns:
        A number in [0, 1] and the share of 1,999 permutations, and the sample itself, that reach it; NaN for n < 4 or
        where one side is constant.
    """
    if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan, math.nan
    a, b = _centred_distances(x), _centred_distances(y)
    covariance = (a * b).mean()
    correlation = math.sqrt(max(0.0, covariance) / math.sqrt((a * a).mean() * (b * b).mean()))
    permuted = np.concatenate(
        [
            b[order[:, :, None], order[:, None, :]].reshape(len(order), -1) @ a.ravel()
            for order in np.array_split(_orders(len(x)), math.ceil(PERMUTATIONS / _AT_A_TIME))
        ]
    )
    reached = int((permuted / a.size >= covariance * (1 - 1e-9)).sum())
    return correlation, (1 + reached) / (1 + PERMUTATIONS)


def _centred_distances(values: Floats) -> Floats:
    """Return the distances of all pairs, (n, n), with means of rows and columns taken away."""
    distances = np.abs(values[:, None] - values[None, :])
    rows = distances.mean(axis=0)
    centred: Floats = distances - rows[:, None] - rows[None, :] + rows.mean()
    return centred


@lru_cache(maxsize=8)
def _orders(n: int) -> NDArray[np.intp]:
    """Return P orders of n, the same for all pairs."""
    rng = np.random.default_rng(_SEED)
    return rng.permuted(np.tile(np.arange(n), (PERMUTATIONS, 1)), axis=1)


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Return p-values adjusted so that the false discovery rate is controlled; NaN stay NaN and do not count.

    Benjamini and Hochberg (1995): valid for independent tests, and for those that depend positively on each other.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    from scipy import stats

    adjusted = np.full(len(p_values), np.nan)
    known = np.isfinite(p_values)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p_values[known])
    return adjusted
