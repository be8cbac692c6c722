"""Kendall's rank correlation of a few points: its exact p, and an interval that covers."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import stats

from unseen.reporting.statistics.intervals import CONFIDENCE, Floats
from unseen.reporting.statistics.shuffles import orders, share_reaching

FEWEST = 5  # below, hardly a value of tau is left out by the interval
MOST = 30  # points of which an interval is found: the simulated samples are of n² pairs
_SAMPLES = 2000  # and their mirror images
_TAUS = np.linspace(-1, 1, 101).round(2)
_HALF_A_STEP = 0.01
_SEED = 20240731
_ROUNDING = 1e-9


def kendall(x: Floats, y: Floats) -> tuple[float, float]:
    """Return Kendall's tau-b and its two-sided p, exact without and with ties.

    Of more than eight points with ties, 9,999 orders are drawn for p.

    Args:
        x: (n,) without NaN, not constant.
        y: (n,) without NaN, not constant.

    >>> kendall(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4]))[1]
    0.3333333333333333
    """
    tied = len(np.unique(x)) < len(x) or len(np.unique(y)) < len(y)
    if not tied:
        found = stats.kendalltau(x, y, method="exact")
        return float(found.statistic), float(found.pvalue)
    i, j = np.triu_indices(len(x), 1)
    drawn = y[orders(len(x))]  # (P, n)
    agreeing = np.sign(drawn[:, i] - drawn[:, j]) @ np.sign(x[i] - x[j])
    return float(stats.kendalltau(x, y).statistic), share_reaching(np.abs(agreeing))


def weighted(x: Floats, y: Floats) -> float:
    """Return the weighted tau of Vigna (2015) as SciPy has it by default, which agreement at the top counts more in."""
    return float(stats.weightedtau(x, y).statistic)


def interval(tau: float, n: int) -> tuple[float, float]:
    """Return the ends of a 95 % interval of Kendall's tau.

    All true values at which a tau as low, or as high, as the one found has a probability above 2.5 %, where the points
    are draws of a normal copula, on a grid of values .02 apart, and half of that more at each end.
    `benchmarks/transfer_lines.py` simulates its coverage, also with other dependences: 94 to 99 % with 5 to 9
    points, where the bootstrap, which has no width for points in one order, falls to 63 %.

    Returns:
        NaN for n < 5 and n > 30.
    """
    if not FEWEST <= n <= MOST:
        return math.nan, math.nan
    simulated = _simulated(n)
    tail = (1 - CONFIDENCE) / 2
    not_below = (simulated >= tau - _ROUNDING).mean(axis=1) > tail
    not_above = (simulated <= tau + _ROUNDING).mean(axis=1) > tail
    low = float(_TAUS[np.argmax(not_below)]) - _HALF_A_STEP
    high = float(_TAUS[len(_TAUS) - 1 - np.argmax(not_above[::-1])]) + _HALF_A_STEP
    return max(-1.0, round(low, 2)), min(1.0, round(high, 2))


@lru_cache(maxsize=16)
def _simulated(n: int) -> Floats:
    """Return (101, 4000) taus of samples of n normal pairs, for each true tau."""
    half = np.random.default_rng(_SEED).standard_normal((2, _SAMPLES, n))
    x, noise = np.tile(half[0], (2, 1)), np.concatenate([half[1], -half[1]])
    i, j = np.triu_indices(n, 1)
    signs = np.sign(x[:, i] - x[:, j])
    rows = []
    for tau in _TAUS:
        rho = math.sin(math.pi * tau / 2)  # of a normal copula
        y = rho * x + math.sqrt(max(0.0, 1 - rho**2)) * noise
        rows.append((signs * np.sign(y[:, i] - y[:, j])).mean(axis=1))
    return np.array(rows)
