"""Means, bootstrap intervals, the generalization index and permutation tests over seeds: pure functions.

Legend: R runs (seeds), L layers, B resamples. Every result carries its n. Intervals are percentile bootstrap
intervals over runs, from a generator with a fixed seed; with fewer than two runs they are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES = 2000
CONFIDENCE = 0.95
PERMUTATIONS = 9999  # drawn where there are too many to count them all
_ALL_ORDERS_UP_TO = 8  # 8! = 40,320
_ALL_FLIPS_UP_TO = 14  # 2^14 = 16,384
_DIGITS = 9  # permuted statistics that differ by less than this are equal but for rounding
_SEED = 20240501


@dataclass(frozen=True)
class Estimate:
    """Mean and standard deviation (ddof 0) over n runs with a finite value, and the ends of the 95 % interval."""

    mean: float = math.nan
    std: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0


@dataclass(frozen=True, eq=False)
class Generalization:
    """The generalization index g over R runs, both ways."""

    # mean over runs first, then the largest layer, as arXiv 2405.01524; its interval takes the largest layer anew
    of_mean: Estimate
    per_run: Floats  # (R,) the largest layer of each run
    of_runs: Estimate  # their mean
    best_layer: int  # largest in the mean; the shallowest where several tie
    wins: NDArray[np.int64]  # (L,) in how many runs each layer is the largest; ties go to the shallowest
    support: float  # share of the resamples in which best_layer is the largest; NaN where n < 2


@dataclass(frozen=True)
class DepthShape:
    """Steps from a layer to the next that go up or down by more than the uncertainty."""

    rises: int = 0
    falls: int = 0
    sign_changes: int = 0  # a rise after a fall or the reverse; above 0 the curve is not monotone
    judged_by: str = ""  # "interval" of the paired differences, "noise" of k-means, or "" (cannot be judged)


@dataclass(frozen=True)
class RankAgreement:
    """A rank correlation of n pairs; NaN where n < 3 or one side is constant."""

    value: float  # Spearman's rho or Kendall's tau-b
    p: float  # two-sided, by permutation
    n: int
    exact: bool  # all n! orders were counted; else 9,999 were drawn


@lru_cache(maxsize=64)
def _weights(n: int) -> Floats:
    """Return (B, n): how often each run is drawn in each resample, divided by n."""
    rng = np.random.default_rng(_SEED)
    weights: Floats = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n
    return weights


def _resampled_means(values: Floats) -> Floats:
    """Return (B, M) from (R, M): the same runs are drawn for all columns, so their differences stay paired."""
    means: Floats = _weights(len(values)) @ values
    return means


def _interval(resamples: Floats) -> tuple[Floats, Floats]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail], axis=0)
    return low, high


def estimate(values: Floats) -> Estimate:
    """Return the mean over R values, NaN left out.

    >>> estimate(np.array([0.2, 0.4])).std
    0.1
    """
    return estimates(np.asarray(values, dtype=float)[:, None])[0]


def estimates(values: Floats) -> list[Estimate]:
    """Return mean, spread and interval over runs of each of M numbers.

    Args:
        values: (R, M); NaN where a run lacks a number.
    """
    means = [Estimate()] * values.shape[1]
    finite = np.isfinite(values)
    for pattern in np.unique(finite, axis=1).T:  # columns that the same runs have, together
        if not pattern.any():
            continue
        columns = np.flatnonzero((finite == pattern[:, None]).all(axis=0))
        finite_values = values[pattern][:, columns]  # (r, m)
        ends = (
            _interval(_resampled_means(finite_values))
            if len(finite_values) > 1
            else np.full((2, len(columns)), np.nan)
        )
        parts = np.stack([finite_values.mean(axis=0), finite_values.std(axis=0), *ends], axis=1).tolist()
        for column, (mean, std, low, high) in zip(columns, parts, strict=True):
            means[column] = Estimate(mean, std, low, high, len(finite_values))
    return means


def generalization(nmi: Floats) -> Generalization | None:
    """Return g and the best layer of R runs from their (R, L) NMI; None where no layer has a finite mean.

    Layers whose NMI is NaN in a run do not count (a probe that was undefined there).
    """
    layers = np.flatnonzero(np.isfinite(nmi).all(axis=0))
    if not len(layers):
        return None
    usable = nmi[:, layers]  # (R, l)
    means = usable.mean(axis=0)
    best = int(means.argmax())
    low = high = support = math.nan
    if len(usable) > 1:
        resamples = _resampled_means(usable)  # (B, l)
        low, high = (float(end) for end in _interval(resamples.max(axis=1)))
        support = float((resamples.argmax(axis=1) == best).mean())
    of_mean = Estimate(float(means[best]), float(usable[:, best].std()), low, high, len(usable))
    per_run = usable.max(axis=1)
    wins = np.bincount(layers[usable.argmax(axis=1)], minlength=nmi.shape[1])
    return Generalization(of_mean, per_run, estimate(per_run), int(layers[best]), wins, support)


def depth_shape(values: Floats, noise: Floats | None = None) -> DepthShape:
    """Return how often a score changes direction over the layers, beyond the uncertainty.

    Args:
        values: (R, L) scores of R runs.
        noise: (L,) standard deviation of one run's score by its own randomness; used for a single run.
    """
    steps = np.diff(values, axis=1)  # (R, L-1)
    if len(values) > 1:
        signs = np.array([(step.low > 0) - (step.high < 0) for step in estimates(steps)], dtype=int)
    elif noise is not None and np.isfinite(noise).any():
        floor = 1.96 * np.hypot(noise[1:], noise[:-1])  # two independent errors, 95 %
        signs = (steps[0] > floor).astype(int) - (steps[0] < -floor)
    else:
        return DepthShape()
    changes = int((np.diff(signs[signs != 0]) != 0).sum())
    judged_by = "interval" if len(values) > 1 else "noise"
    return DepthShape(int((signs > 0).sum()), int((signs < 0).sum()), changes, judged_by)


def spearman(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> RankAgreement:
    """Return Spearman's rho of two lists, with average ranks for ties; pairs with NaN are left out.

    >>> round(spearman([1, 2, 3, 4], [1, 3, 2, 4]).value, 3)
    0.8
    """
    from scipy.stats import spearmanr  # scipy takes half a second to load

    return _rank_agreement(first, second, spearmanr, lambda x, y: y @ (x - x.mean()))


def kendall(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> RankAgreement:
    """Return Kendall's tau-b of two lists; pairs with NaN are left out.

    >>> round(kendall([1, 2, 3, 4], [1, 3, 2, 4]).value, 3)
    0.667
    """
    from scipy.stats import kendalltau

    return _rank_agreement(first, second, kendalltau, _concordance)


def _concordance(x: Floats, y: Floats) -> Floats:
    """Return (P,) concordant minus discordant pairs of (n,) and (P, n)."""
    i, j = np.triu_indices(len(x), 1)
    difference: Floats = np.sign(y[..., i] - y[..., j]) @ np.sign(x[i] - x[j])
    return difference


def _rank_agreement(
    first: Sequence[float] | Floats,
    second: Sequence[float] | Floats,
    coefficient: Callable[[Floats, Floats], Any],
    numerator: Callable[[Floats, Floats], Floats],
) -> RankAgreement:
    """Return a coefficient and its p; `numerator` is what a permutation of the second list changes in it."""
    from scipy.stats import rankdata

    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = rankdata(x[both]), rankdata(y[both])
    n, exact = len(x), len(x) <= _ALL_ORDERS_UP_TO
    if n < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:  # two points always lie on a line
        return RankAgreement(math.nan, math.nan, n, exact)
    p = _permutation_p(y, lambda orders: numerator(x, orders), "pairings", exact)
    return RankAgreement(float(coefficient(x, y).statistic), p, n, exact)


def sign_flip_p(differences: Sequence[float] | Floats) -> float:
    """Return the two-sided p of paired differences having mean zero, by flipping their signs.

    All 2^n flips are counted up to n = 14, 9,999 are drawn beyond. NaN differences are left out; n = 0 gives NaN.
    With n = 3 it cannot fall below 0.25.

    >>> sign_flip_p([1.0, 2.0, 3.0])
    0.25
    """
    d = np.asarray(differences, dtype=float)
    d = d[np.isfinite(d)]
    if len(d) < 2:  # one difference is as far from zero as its negative
        return 1.0 if len(d) else math.nan
    return _permutation_p(d, lambda flipped: flipped.sum(axis=-1), "samples", len(d) <= _ALL_FLIPS_UP_TO)


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
