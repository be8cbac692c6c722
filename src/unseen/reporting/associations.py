"""Tests of rank agreement and of paired differences by permutation: exact where few cases allow it, pure functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PERMUTATIONS = 9999
_ALL_ORDERS_UP_TO = 8  # 8! = 40,320
_ALL_FLIPS_UP_TO = 14  # 2^14 = 16,384
_FEWEST = 3  # two points always lie on a line
_SEED = 20240501
_SLACK = 1e-9  # a permuted statistic that is equal but for rounding counts as equal


@dataclass(frozen=True)
class RankAgreement:
    """Spearman's and Kendall's correlation of n pairs; all NaN where n < 3 or one side is constant.

    Attributes:
        spearman: rho, with average ranks for ties.
        spearman_p: Two-sided permutation p.
        kendall: tau-b.
        kendall_p: Two-sided permutation p.
        n: Pairs.
        exact: True where all n! orders were counted, False where 9,999 were drawn.
    """

    spearman: float
    spearman_p: float
    kendall: float
    kendall_p: float
    n: int
    exact: bool


def rank_agreement(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> RankAgreement:
    """Return how far two lists are in the same order; pairs with NaN are left out.

    >>> found = rank_agreement([1, 2, 3, 4], [1, 3, 2, 4])
    >>> round(found.spearman, 3), round(found.kendall, 3), found.n
    (0.8, 0.667, 4)
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = ranks(x[both]), ranks(y[both])
    n, exact = len(x), len(x) <= _ALL_ORDERS_UP_TO
    if n < _FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankAgreement(math.nan, math.nan, math.nan, math.nan, n, exact)
    orders = _orders(n)  # (P, n)
    x_unit, y_unit = _unit(x), _unit(y)
    rho = float(x_unit @ y_unit)
    rho_p = _share_as_far(y_unit[orders] @ x_unit, rho, exact)
    low, high = np.triu_indices(n, 1)  # all pairs of places
    x_sign = np.sign(x[high] - x[low])
    y_signs = np.sign(y[:, None] - y[None, :])  # (n, n)
    scale = math.sqrt(float((x_sign != 0).sum()) * float((y_signs[high, low] != 0).sum()))
    tau = float(x_sign @ y_signs[high, low]) / scale
    # one pair of places after the other: (P,) at a time keeps the memory small for many points
    totals = np.zeros(len(orders))
    for sign, later, earlier in zip(x_sign, high, low, strict=True):
        if sign:
            totals += sign * y_signs[orders[:, later], orders[:, earlier]]
    return RankAgreement(rho, rho_p, tau, _share_as_far(totals / scale, tau, exact), n, exact)


def ranks(values: Floats) -> Floats:
    """Return (n,) ranks from 1, ties sharing the mean of theirs.

    >>> ranks(np.array([0.3, 0.1, 0.3])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # the highest rank of each distinct value
    found: Floats = (last - (counts - 1) / 2)[place]
    return found


def sign_flip_p(differences: Sequence[float] | Floats) -> float:
    """Return the two-sided p of paired differences having mean zero, by flipping their signs.

    All 2^n flips are counted up to n = 14, 9,999 are drawn beyond. NaN differences are left out; n = 0 gives NaN.
    With n = 3 it cannot fall below 0.25.

    >>> sign_flip_p([1.0, 2.0, 3.0])
    0.25
    """
    d = np.asarray(differences, dtype=float)
    d = d[np.isfinite(d)]
    if len(d) == 0:
        return math.nan
    exact = len(d) <= _ALL_FLIPS_UP_TO
    if exact:
        flips = np.array(list(itertools.product((1.0, -1.0), repeat=len(d))))  # (2^n, n)
    else:
        flips = np.random.default_rng(_SEED).choice([-1.0, 1.0], size=(PERMUTATIONS, len(d)))
    return _share_as_far(flips @ d, float(d.sum()), exact)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the order given; NaN stay NaN and do not count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[place] = largest
    return corrected


def _unit(ranked: Floats) -> Floats:
    centred = ranked - ranked.mean()
    unit: Floats = centred / np.linalg.norm(centred)
    return unit


def _share_as_far(permuted: Floats, observed: float, exact: bool) -> float:
    far = int((np.abs(permuted) >= abs(observed) - _SLACK).sum())
    # drawn orders do not hold the observed one, which is as far as itself (Phipson & Smyth 2010)
    return far / len(permuted) if exact else (far + 1) / (len(permuted) + 1)


@lru_cache(maxsize=16)
def _orders(n: int) -> NDArray[np.int64]:
    if n <= _ALL_ORDERS_UP_TO:
        return np.array(list(itertools.permutations(range(n))))
    rng = np.random.default_rng(_SEED)
    return rng.permuted(np.tile(np.arange(n), (PERMUTATIONS, 1)), axis=1)
