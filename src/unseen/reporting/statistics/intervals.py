"""Means over independent units with t intervals, and the units that a comparison may use: pure functions.

Legend: U units, S class splits, T seeds, L layers. A *unit* is one independent replicate: a training seed where the
unseen classes are fixed, or one choice of unseen classes (a class split). Who calls says in words which of the two it
is, because an interval generalises over what its units differ in and over nothing else. Where each of T seeds was run
on each of S splits, the values come as a table with two axes instead of one, the units are the splits, and the interval
holds over seeds, too (`crossed`). Units are taken as roughly normal. With fewer than three units, or units that are
equal to the last bit, there is no interval: NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.statistics.crossed import Error

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
# where NMI and accuracies lie, and two of them, one less the other
SHARE, DIFFERENCE = (0.0, 1.0), (-1.0, 1.0)
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

    def within(self, least: float, most: float) -> Estimate:
        """Return it with an interval that ends where its true value must lie; it covers that as often.

        Few units give intervals by t that reach beyond, since a share is no normal number.

        Args:
            least: Smallest value that is possible.
            most: Largest one.

        >>> Estimate(0.6, 0.3, -0.15, 1.35, 3).within(*SHARE)
        Estimate(mean=0.6, std=0.3, low=0.0, high=1.0, n=3)
        """
        # of NaN, where there is no interval, both return NaN; rounding may leave a mean beyond
        low, high = max(self.low, min(least, self.mean)), min(self.high, max(most, self.mean))
        return replace(self, low=low, high=high)


@dataclass(frozen=True, eq=False)
class Complete:
    """The part of a (U, L) array or an (S, T, L) table without gaps, and what was left out for it."""

    values: Floats  # (u, l) or (s, t, l)
    units: NDArray[np.intp]  # (u,) which units, or splits, they are
    layers: NDArray[np.intp]  # (l,) which layers they are
    seeds: NDArray[np.intp]  # (t,) which seeds of a table they are
    dropped_units: NDArray[np.intp]  # units with a gap in a layer that counts, or without any value
    dropped_layers: NDArray[np.intp]  # layers that fewer than half of the units have

    @property
    def of_units(self) -> Floats:
        """(u, l) values of the units: of a table the means over its seeds."""
        return self.values if self.values.ndim == 2 else self.values.mean(axis=1)


def complete(values: Floats) -> Complete:
    """Return the units and layers to compare: every mean over the same units.

    Units without any value are left out; then layers that fewer than half of the others have; then units that lack
    one of the remaining layers. Of a table these units are runs, and with each the split or the seed is left out that
    lacks the larger share of its runs.

    Args:
        values: (U, L) or (S, T, L), NaN where undefined.

    >>> complete(np.array([[0.1, 0.2], [0.3, np.nan], [0.5, 0.6], [np.nan, np.nan]])).units.tolist()
    [0, 2]
    """
    table = values if values.ndim == 3 else values[:, None]
    known = np.isfinite(table)
    measured = known.any(axis=2)
    layers = measured.any() & (2 * known.sum(axis=(0, 1)) >= measured.sum())
    units, seeds = without_gaps(np.asarray(measured & known[..., layers].all(axis=2)))
    counted = table[np.ix_(units, seeds, np.flatnonzero(layers))]
    return Complete(
        values=counted if values.ndim == 3 else counted.reshape(len(units), layers.sum()),
        units=units,
        layers=np.flatnonzero(layers),
        seeds=seeds,
        dropped_units=np.delete(np.arange(len(values)), units),
        dropped_layers=np.flatnonzero(~layers),
    )


def without_gaps(known: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns between which no cell is missing.

    Always that row or column is left out which has the largest share of gaps.
    """
    rows, columns = np.arange(known.shape[0]), np.arange(known.shape[1])
    while rows.size and columns.size:
        gaps = ~known[np.ix_(rows, columns)]
        if not gaps.any():
            break
        of_rows, of_columns = gaps.mean(axis=1), gaps.mean(axis=0)
        if of_rows.max() >= of_columns.max():
            rows = np.delete(rows, of_rows.argmax())
        else:
            columns = np.delete(columns, of_columns.argmax())
    return (rows, columns) if rows.size and columns.size else (rows[:0], columns[:0])


def estimate(values: Floats) -> Estimate:
    """Return the mean over the units that have a value, with its interval.

    Args:
        values: (U,) or a table (S, T), NaN where there is none.

    >>> round(estimate(np.array([0.2, 0.4, 0.9])).low, 3)
    -0.396
    """
    values = np.asarray(values, dtype=float)
    return estimates(values[..., None])[0]


def estimates(values: Floats) -> list[Estimate]:
    """Return the mean of each of L numbers over the units that have all of them; n = 0 for one that few have.

    Args:
        values: (U, L) or (S, T, L), NaN where a unit lacks a number.
    """
    return _by_layer(values, simultaneous=False)


def band(values: Floats) -> list[Estimate]:
    """Return L means whose intervals hold together: with 95 % all L true means lie inside (Bonferroni).

    Valid however the layers depend on each other; wider than needed where they rise and fall together.

    Args:
        values: (U, L) or (S, T, L), NaN where a unit lacks a number.
    """
    return _by_layer(values, simultaneous=True)


def _by_layer(values: Floats, *, simultaneous: bool) -> list[Estimate]:
    used = complete(values)
    found = [Estimate()] * values.shape[-1]
    n = len(used.units)
    if not n:
        return found
    tests = len(used.layers) if simultaneous else 1
    units, (mean, error) = used.of_units, mean_with_error(used.values)
    std = units.std(axis=0, ddof=1) if n > 1 else np.full(len(used.layers), np.nan)
    ends = reach(mean, error, n, tests)
    for place, layer in enumerate(used.layers):
        found[layer] = around(float(mean[place]), float(std[place]), float(ends[place]), n)
    return found


def mean_with_error(values: Floats) -> tuple[Floats, Error]:
    """Return (L,) means over units and their errors; no gaps.

    Args:
        values: (U, L), or (S, T, L) for an error over splits and seeds together.
    """
    table = values if values.ndim == 3 else values[:, None]
    n, seeds = table.shape[:2]
    mean: Floats = table.mean(axis=(0, 1))
    if n < 2:
        return mean, Error(np.full_like(mean, np.nan), 1.0)
    of_units = table.mean(axis=1).var(axis=0, ddof=1) / n
    if seeds == 1:
        return mean, Error(of_units, n - 1.0)
    return mean, Error(of_units, n - 1.0, table.mean(axis=0).var(axis=0, ddof=1) / seeds, seeds - 1.0)


def reach(mean: Any, error: Error, n: int, tests: int = 1) -> Any:
    """Return how far the interval of a mean, or of (L,) means, reaches to each side; NaN where there is none.

    Args:
        mean: The estimate.
        error: Its error.
        n: Number of units.
        tests: Number of intervals that are to hold together.
    """
    known = (n >= FEWEST) & is_spread(error.total, mean)
    return np.where(known, error.reach(1 - (1 - CONFIDENCE) / (2 * tests)), np.nan)


def around(mean: float, std: float, to_each_side: float, n: int) -> Estimate:
    """Return an estimate over n units from its standard deviation and what `reach` returns."""
    if math.isnan(to_each_side):
        return Estimate(mean, std, n=n)
    return Estimate(mean, std, mean - to_each_side, mean + to_each_side, n)


def p_above(mean: float, error: Error, n: int) -> float:
    """Return the one-sided p of a true mean of zero or less.

    NaN below three units. One where the units are equal to the last bit: then they are no replicates.
    """
    if n < FEWEST:
        return math.nan
    return error.p_above(mean) if is_spread(error.total, mean) else 1.0


def two_sided_p(mean: float, error: Error, n: int) -> float:
    """Return the two-sided p of a true mean of zero; NaN below three units."""
    return min(1.0, 2 * min(p_above(mean, error, n), p_above(-mean, error, n))) if n >= FEWEST else math.nan


def is_spread(error: float | Floats, mean: float | Floats) -> Any:
    """Return whether standard errors are more than rounding."""
    return error > _ROUNDING * np.maximum(1.0, np.abs(mean))
