"""Whether two orders agree: rank correlation over networks, and curves over layers on two data sets.

One point is one network. Runs or settings of one network, and layers of one curve, are no independent points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from unseen.reporting.statistics.intervals import Floats

PERMUTATIONS = 9999  # drawn where there are too many to count them all
FEWEST_TO_RANK = 5  # networks: four in one order have p = 2 / 24
_FEWEST_TO_FLIP = 6  # networks: 2 / 2^6 = .03 is the smallest p by flipping signs; with five it is .06
_ALL_ORDERS_UP_TO = 8  # 8! = 40,320
_ALL_FLIPS_UP_TO = 14  # 2^14 = 16,384
_DIGITS = 9  # permuted statistics that differ by less than this are equal but for rounding
_SEED = 20240501
_POWER = 0.8


@dataclass(frozen=True)
class RankAgreement:
    """Spearman's rho of n pairs; NaN where n < 3 or one side is constant."""

    rho: float  # its sign tells agreement from contradiction
    p: float  # two-sided, by permutation
    n: int
    exact: bool  # all n! orders were counted; else 9,999 were drawn
    smallest_p: float  # what perfect agreement would give with these ties; above .05 nothing can be shown
    detectable: float  # true correlation of two normal quantities that is found in 80 % of cases with n pairs


def spearman(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> RankAgreement:
    """Return Spearman's rho of two lists, with average ranks for ties; pairs with NaN are left out.

    >>> spearman([1, 2, 3, 4], [1, 3, 2, 4]).p
    0.3333333333333333
    """
    x, y = _centred_ranks(first, second)
    n, exact = len(x), len(x) <= _ALL_ORDERS_UP_TO
    if not _is_testable(x, y):
        return RankAgreement(math.nan, math.nan, n, exact, math.nan, detectable_correlation(n))
    rho = float(x @ y / math.sqrt((x @ x) * (y @ y)))
    p, smallest = (
        _permutation_p(orders, lambda drawn: drawn @ x, "pairings", exact)
        for orders in (y, np.sort(y)[np.argsort(np.argsort(x, kind="stable"), kind="stable")])
    )
    return RankAgreement(rho, p, n, exact, smallest, detectable_correlation(n))


def spearman_p(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float:
    """Return the p of `spearman` alone, which takes a fraction of its time; NaN where rho is NaN.

    >>> spearman_p([1, 2, 3, 4], [1, 3, 2, 4])
    0.3333333333333333
    """
    x, y = _centred_ranks(first, second)
    if not _is_testable(x, y):
        return math.nan
    return _permutation_p(y, lambda drawn: drawn @ x, "pairings", len(x) <= _ALL_ORDERS_UP_TO)


def partial_spearman(
    first: Sequence[float] | Floats, second: Sequence[float] | Floats, given: Sequence[float] | Floats
) -> tuple[float, float]:
    """Return Spearman's partial correlation of two lists given a third, and its two-sided p by permutation.

    The correlation of what is left of the ranks of both after a linear fit to the ranks of `given`. For p what is left
    of the second is permuted and fitted to `given` again (Freedman and Lane 1983, as Winkler et al. 2014,
    doi:10.1016/j.neuroimage.2014.01.060, describe it). It is approximate: residuals are not quite exchangeable.
    benchmarks/partial_rank_null.py simulates how often it errs.

    Returns:
        Correlation and p; pairs with NaN are left out, NaN for fewer than five, or where one side is constant or a
        linear function of the ranks of `given`.
    """
    from scipy.stats import rankdata

    sides = np.array([first, second, given], dtype=float)
    sides = sides[:, np.isfinite(sides).all(axis=0)]
    n = sides.shape[1]
    if n < 5 or not np.ptp(sides, axis=1).all():
        return math.nan, math.nan
    x, y, z = (rankdata(side) - (n + 1) / 2 for side in sides)

    def left(values: Floats) -> Floats:
        kept: Floats = values - (values @ z / (z @ z))[..., None] * z
        return kept

    x, y = left(x), left(y)
    if min(x @ x, y @ y) < 10.0**-_DIGITS:
        return math.nan, math.nan

    def correlation(permuted: Floats) -> Floats:
        fitted = left(permuted)
        lengths = np.sqrt((fitted * fitted).sum(axis=-1) * (x @ x))
        along = fitted @ x
        found: Floats = np.divide(along, lengths, out=np.zeros_like(along), where=lengths > 10.0**-_DIGITS)
        return found

    r = float(x @ y / math.sqrt((x @ x) * (y @ y)))
    return r, _permutation_p(y, correlation, "pairings", n <= _ALL_ORDERS_UP_TO)


@lru_cache(maxsize=64)
def needed_correlation(n: int, p: float) -> float:
    """Return the smallest |rho| of n pairs without ties whose p by `spearman` is at most `p`; NaN where none is.

    >>> needed_correlation(5, 0.05), needed_correlation(4, 0.05)
    (1.0, nan)
    """
    if n < 3:
        return math.nan
    ranks, null = _null(n, np.random.default_rng(_SEED))
    return _critical(null, p) / float(ranks @ ranks)


def _null(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return centred ranks (n,), and |ranks of an order @ ranks| of all orders, or of so many drawn ones."""
    ranks: Floats = np.arange(n, dtype=np.float64) - (n - 1) / 2
    if n <= _ALL_ORDERS_UP_TO:
        orders = np.array(list(itertools.permutations(ranks)))
    else:
        orders = rng.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    reached: Floats = np.abs(orders @ ranks).round(_DIGITS)
    return ranks, reached


def _critical(null: Floats, p: float) -> float:
    """Return the smallest value that at most a share p of all orders reach; NaN where none is."""
    return min((float(value) for value in np.unique(null) if (null >= value).mean() <= p), default=math.nan)


def _centred_ranks(
    first: Sequence[float] | Floats, second: Sequence[float] | Floats
) -> tuple[Floats, Floats]:
    """Return the ranks of the pairs without NaN, each side with a mean of zero."""
    from scipy.stats import rankdata

    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = (rankdata(side[both]) - (both.sum() + 1) / 2 for side in (x, y))
    return x, y


def _is_testable(x: Floats, y: Floats) -> bool:
    return len(x) >= 3 and bool(np.ptp(x) > 0 and np.ptp(y) > 0)  # two points always lie on a line


@lru_cache(maxsize=64)
def detectable_correlation(n: int) -> float:
    """Return the true correlation that the test of `spearman` finds in 80 % of samples of n normal pairs.

    By simulation with a fixed seed, to about .02; NaN where no sample of n can reach p ≤ .05 (n < 5).
    """
    if n < 5:
        return math.nan
    rng = np.random.default_rng(_SEED)
    x, noise = rng.standard_normal((2, 4000, n))
    _, null = _null(n, rng)
    limit = _critical(null, 0.05)

    def power(rho: float) -> float:
        y = rho * x + math.sqrt(1 - rho**2) * noise
        reached = (_ranks(x) * _ranks(y)).sum(axis=1) >= limit - 10.0**-_DIGITS
        return float(reached.mean())

    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= _POWER else (middle, high)
    return high


def _ranks(values: Floats) -> Floats:
    """Return centred ranks along the last axis, no ties."""
    ranks: Floats = values.argsort(axis=-1).argsort(axis=-1) - (values.shape[-1] - 1) / 2
    return ranks


@dataclass(frozen=True)
class CurveAgreement:
    """Whether the networks' curves over layers look alike on two data sets."""

    rho: float  # mean over networks of Spearman's rho of the two curves
    positive: int  # in so many of the n networks it is above zero
    n: int
    p: float  # two-sided, by flipping the signs of the networks' rho; NaN below six networks


def curve_agreement(rhos: Sequence[float] | Floats) -> CurveAgreement:
    """Test whether curves agree, from one rho of each network.

    Neighbouring layers are alike, so one curve is one observation however many layers it has: two unrelated smooth
    curves have a large rho of either sign. The test asks whether networks agree on the sign.

    Args:
        rhos: Spearman's rho of a network's mean curves on the two data sets; NaN are left out.
    """
    values = np.asarray(rhos, dtype=float)
    values = values[np.isfinite(values)]
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    p = sign_flip_p(values) if n >= _FEWEST_TO_FLIP else math.nan
    return CurveAgreement(mean, int((values > 0).sum()), n, p)


def sign_flip_p(values: Sequence[float] | Floats) -> float:
    """Return the two-sided p of values that are symmetric about zero, by flipping their signs.

    All 2^n flips are counted up to n = 14, 9,999 are drawn beyond. NaN are left out; n = 0 gives NaN.

    >>> sign_flip_p([1.0, 2.0, 3.0])
    0.25
    """
    d = np.asarray(values, dtype=float)
    d = d[np.isfinite(d)]
    if len(d) < 2:  # one difference is as far from zero as its negative
        return 1.0 if len(d) else math.nan
    return _permutation_p(d, lambda flipped: flipped.sum(axis=-1), "samples", len(d) <= _ALL_FLIPS_UP_TO)


def smallest_flip_p(n: int) -> float:
    """Return the smallest p that n values can have by flipping their signs.

    >>> smallest_flip_p(5), smallest_flip_p(6)
    (0.0625, 0.03125)
    """
    return float(2 ** (1 - n))


def _permutation_p(sample: Floats, statistic: Callable[[Floats], Floats], kind: str, exact: bool) -> float:
    """Return the share of permutations as far from zero as the sample: of all, or of 9,999 drawn ones and itself."""
    from scipy.stats import permutation_test

    test = permutation_test(
        (sample,),
        lambda permuted, axis: np.abs(statistic(np.moveaxis(permuted, axis, -1))).round(_DIGITS),
        permutation_type=kind,
        vectorized=True,
        alternative="greater",
        n_resamples=math.inf if exact else PERMUTATIONS,
        batch=1000,  # keeps the memory small for many points
        rng=np.random.default_rng(_SEED),
    )
    return float(test.pvalue)
