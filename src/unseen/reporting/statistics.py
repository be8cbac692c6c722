"""Means, bootstrap intervals and the generalization index over seeds: pure functions.

Legend: R runs (seeds), L layers, B resamples. Every result carries its n. Intervals are percentile bootstrap
intervals over runs, from a generator with a fixed seed; with fewer than two runs there is none (NaN).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES = 2000
CONFIDENCE = 0.95
_SEED = 20240501
_FEWEST = 2  # runs that an interval needs


@dataclass(frozen=True)
class Estimate:
    """A mean over runs.

    Attributes:
        mean: Their mean.
        std: Population standard deviation (ddof 0).
        low: Lower end of the 95 % interval, NaN where n < 2.
        high: Upper end.
        n: Runs with a finite value.
    """

    mean: float
    std: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, eq=False)
class Estimates:
    """Means over runs of M numbers at once; the attributes of `Estimate`, each (M,)."""

    mean: Floats
    std: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int64]

    def at(self, place: int) -> Estimate:
        """Return one of them."""
        return Estimate(
            float(self.mean[place]),
            float(self.std[place]),
            float(self.low[place]),
            float(self.high[place]),
            int(self.n[place]),
        )


@dataclass(frozen=True, eq=False)
class Generalization:
    """g over R runs, both ways.

    Attributes:
        of_mean: Mean over runs first, then the largest layer, as arXiv 2405.01524 does; its interval resamples
            runs and takes the largest layer anew.
        of_runs: The largest layer of each run, then the mean.
        best_layer: Layer that is largest in the mean; the shallowest where several tie.
        wins: (L,) in how many runs each layer is the largest; ties go to the shallowest.
        support: Share of the resamples in which `best_layer` is the largest; NaN where n < 2.
    """

    of_mean: Estimate
    of_runs: Estimate
    best_layer: int
    wins: NDArray[np.int64]
    support: float


@dataclass(frozen=True)
class DepthShape:
    """How a score goes with depth.

    Attributes:
        rises: Steps from a layer to the next that go up by more than the uncertainty.
        falls: Steps that go down by more than that.
        sign_changes: How often such a rise follows a fall or the reverse; above 0 the curve is not monotone.
        judged_by: "interval" of the paired differences over seeds, "noise" of k-means, or "" (cannot be judged).
        n: Runs.
    """

    rises: int
    falls: int
    sign_changes: int
    judged_by: str
    n: int


@lru_cache(maxsize=64)
def _weights(n: int) -> Floats:
    """Return (B, n): how often each run is drawn in each resample, divided by n."""
    rng = np.random.default_rng(_SEED)
    weights: Floats = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n
    return weights


def resampled_means(values: Floats) -> Floats:
    """Return (B, M) means of resampled runs from (R, M) values.

    The same runs are drawn for all M columns, so differences between columns stay paired.
    """
    means: Floats = _weights(len(values)) @ values
    return means


def estimate(values: Floats) -> Estimate:
    """Return the mean over R values, NaN left out.

    >>> estimate(np.array([0.2, 0.4])).std
    0.1
    """
    return estimates(np.asarray(values, dtype=float)[:, None]).at(0)


def estimates(values: Floats) -> Estimates:
    """Return mean, spread and interval over runs of each of M numbers.

    Args:
        values: (R, M); NaN where a run lacks a number.
    """
    finite = np.isfinite(values)  # (R, M)
    mean, std, low, high = np.full((4, values.shape[1]), np.nan)
    for pattern in np.unique(finite, axis=1).T:  # columns that the same runs have, together
        columns = (finite == pattern[:, None]).all(axis=0)
        if not pattern.any():
            continue
        some = values[pattern][:, columns]  # (r, m)
        mean[columns], std[columns] = some.mean(axis=0), some.std(axis=0)
        if len(some) >= _FEWEST:
            low[columns], high[columns] = _interval(resampled_means(some))
    return Estimates(mean, std, low, high, finite.sum(axis=0))


def _interval(resamples: Floats) -> tuple[Floats, Floats]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail], axis=0)
    return low, high


def generalization(nmi: Floats) -> Generalization | None:
    """Return g and the best layer of R runs from their (R, L) NMI; None where no layer has a finite mean.

    Layers whose NMI is NaN in a run do not count (a probe that was undefined there).
    """
    usable = np.isfinite(nmi).all(axis=0)
    if not usable.any():
        return None
    layers = np.flatnonzero(usable)
    some = nmi[:, layers]  # (R, l)
    means = some.mean(axis=0)
    best = int(means.argmax())
    low = high = support = math.nan
    if len(some) >= _FEWEST:
        resamples = resampled_means(some)  # (B, l)
        low, high = (float(end) for end in _interval(resamples.max(axis=1)))
        support = float((resamples.argmax(axis=1) == best).mean())
    of_mean = Estimate(float(means[best]), float(some[:, best].std()), low, high, len(some))
    wins = np.bincount(layers[some.argmax(axis=1)], minlength=nmi.shape[1])
    return Generalization(of_mean, estimate(some.max(axis=1)), int(layers[best]), wins, support)


def paired_difference(first: Floats, second: Floats) -> Estimate:
    """Return the mean of first - second over the runs that have both, with its paired bootstrap interval.

    Args:
        first: (R,).
        second: (R,) of the same runs or the same seeds.
    """
    return estimate(np.asarray(first, dtype=float) - np.asarray(second, dtype=float))


def depth_shape(values: Floats, noise: Floats | None = None) -> DepthShape:
    """Return how often a score turns on its way through the layers, beyond the uncertainty.

    Args:
        values: (R, L) scores of R runs.
        noise: (L,) standard deviation of one run's score by its own randomness; used where there is one run.
    """
    steps = np.diff(values, axis=1)  # (R, L-1)
    if len(values) >= _FEWEST:
        found = estimates(steps)
        signs = np.where(found.low > 0, 1, np.where(found.high < 0, -1, 0))
        judged_by = "interval"
    elif noise is not None and np.isfinite(noise).any():
        floor = 1.96 * np.hypot(noise[1:], noise[:-1])  # two independent errors, 95 %
        signs = np.where(steps[0] > floor, 1, np.where(steps[0] < -floor, -1, 0))
        judged_by = "noise"
    else:
        return DepthShape(0, 0, 0, "", len(values))
    told = signs[signs != 0]
    changes = int((np.diff(told) != 0).sum())
    return DepthShape(int((signs > 0).sum()), int((signs < 0).sum()), changes, judged_by, len(values))


def at_depths(curve: Floats, depths: Floats, wanted: Floats) -> Floats:
    """Return (L,) scores at other depths by linear interpolation.

    Args:
        curve: Scores of the layers.
        depths: Their normalised depths, ascending.
        wanted: (L,) depths asked for.
    """
    values: Floats = np.interp(wanted, depths, curve)
    return values
