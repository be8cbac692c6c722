"""Means over independent units with t intervals, and the units that a comparison may use: pure functions.

Legend: U units, L layers. A *unit* is one independent replicate: a training seed where the unseen classes are fixed, or
one choice of unseen classes (a class split, each the mean over its seeds). Who calls says in words which of the two it
is, because an interval generalises over what its units differ in and over nothing else. Units are taken as roughly
normal. With fewer than three units, or units that are equal to the last bit, there is no interval: NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
FEWEST = 3  # units for an interval or a p
_ROUNDING = 1e-12  # a spread below this share of the values is rounding


@dataclass(frozen=True)
class Estimate:
    """A mean over n units, their standard deviation (ddof 1; NaN for n = 1), and the ends of its 95 % interval."""

    mean: float = math.nan
    std: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0


@dataclass(frozen=True, eq=False)
class Complete:
    """The part of a (U, L) array without gaps, and what was left out for it."""

    values: Floats  # (u, l)
    units: NDArray[np.intp]  # (u,) which units they are
    layers: NDArray[np.intp]  # (l,) which layers they are
    dropped_units: NDArray[np.intp]  # units with a gap in a layer that counts, or without any value
    dropped_layers: NDArray[np.intp]  # layers that fewer than half of the units have


def complete(values: Floats) -> Complete:
    """Return the units and layers to compare: every mean over the same units.

    Units without any value are left out; then layers that fewer than half of the others have; then units that lack
    one of the remaining layers.

    >>> complete(np.array([[0.1, 0.2], [0.3, np.nan], [0.5, 0.6], [np.nan, np.nan]])).units.tolist()
    [0, 2]
    """
    known = np.isfinite(values)
    measured = known.any(axis=1)
    layers = measured.any() & (2 * known.sum(axis=0) >= measured.sum())
    units = measured & known[:, layers].all(axis=1)
    where = [np.flatnonzero(which) for which in (units, layers, ~units, ~layers)]
    return Complete(values[np.ix_(where[0], where[1])], *where)


def estimate(values: Floats) -> Estimate:
    """Return the mean over the units that have a value, with its t interval.

    >>> round(estimate(np.array([0.2, 0.4, 0.9])).low, 3)
    -0.396
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return Estimate()
    std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return around(float(values.mean()), std, std / math.sqrt(len(values)), len(values))


def estimates(values: Floats) -> list[Estimate]:
    """Return the mean of each of L numbers over the units that have all of them; n = 0 for one that few have.

    Args:
        values: (U, L), NaN where a unit lacks a number.
    """
    return _by_layer(values, simultaneous=False)


def band(values: Floats) -> list[Estimate]:
    """Return L means whose intervals hold together: with 95 % all L true means lie inside (Bonferroni).

    Valid however the layers depend on each other; wider than needed where they rise and fall together.

    Args:
        values: (U, L), NaN where a unit lacks a number.
    """
    return _by_layer(values, simultaneous=True)


def _by_layer(values: Floats, *, simultaneous: bool) -> list[Estimate]:
    used = complete(values)
    means = [Estimate()] * values.shape[1]
    n = len(used.values)
    if not n:
        return means
    tests = len(used.layers) if simultaneous else 1
    stds = used.values.std(axis=0, ddof=1) if n > 1 else np.full(len(used.layers), np.nan)
    for layer, mean, std in zip(used.layers, used.values.mean(axis=0).tolist(), stds.tolist(), strict=True):
        means[layer] = around(mean, std, std / math.sqrt(n), n, tests)
    return means


def around(
    mean: float, std: float, error: float, n: int, tests: int = 1, df: float | None = None
) -> Estimate:
    """Return mean ± t · error as an estimate over n units; df is n - 1 unless given.

    Args:
        mean: The estimate.
        std: Standard deviation over units, which is shown beside it.
        error: Standard error of the mean.
        n: Number of units.
        tests: Number of intervals that are to hold together.
        df: Degrees of freedom.
    """
    from scipy.special import stdtrit  # scipy.stats takes half a second to load

    if n < FEWEST or not is_spread(error, mean):
        return Estimate(mean, std, n=n)
    reach = error * float(stdtrit(n - 1 if df is None else df, 1 - (1 - CONFIDENCE) / (2 * tests)))
    return Estimate(mean, std, mean - reach, mean + reach, n)


def p_above(mean: float, error: float, n: int) -> float:
    """Return the one-sided p of a true mean of zero or less, by t with n - 1 degrees of freedom.

    NaN below three units. One where the units are equal to the last bit: then they are no replicates.
    """
    from scipy.special import stdtr

    if n < FEWEST:
        return math.nan
    return float(stdtr(n - 1, -mean / error)) if is_spread(error, mean) else 1.0


def is_spread(error: float | Floats, mean: float | Floats) -> Any:
    """Return whether standard errors are more than rounding."""
    return error > _ROUNDING * np.maximum(1.0, np.abs(mean))
