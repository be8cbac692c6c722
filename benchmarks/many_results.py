"""The report's statements on many made-up results at once, a hundred times faster than one by one.

The choices are the report's own (`crossfit._scores`, `Error.reach`); what is repeated here is what it does with the scores of
one result. error_rates.py puts some results of every cell to the report's functions, too, and ends where they differ.

Legend: B results, S units (class splits, or seeds; then T = 1), T seeds, L layers. Values are (B, S, T, L), without gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from unseen.reporting.statistics.claims import OF_A_PAGE, SIGNIFICANT
from unseen.reporting.statistics.crossed import Error
from unseen.reporting.statistics.crossfit import Score, _others, _scores, at_best
from unseen.reporting.statistics.intervals import CONFIDENCE, Floats, is_spread
from unseen.reporting.statistics.turning import _inner

Bools = NDArray[np.bool_]


class Fits(NamedTuple):
    """B times `crossfit.CrossFit`."""

    table: Floats  # (B, S, T)
    without_unit: Floats  # (B, S)
    without_seed: Floats  # (B, T)

    @property
    def mean(self) -> Floats:
        """(B,) mean scores."""
        mean: Floats = self.table.mean(axis=(1, 2))
        return mean

    @property
    def error(self) -> Error:
        """Their errors."""
        _, s, t = self.table.shape
        of_units = _variance_of_mean(self.table.mean(axis=2), self.without_unit)
        if t == 1:
            return Error(of_units, s - 1.0)
        of_seeds = _variance_of_mean(self.table.mean(axis=1), self.without_seed)
        return Error(of_units, s - 1.0, of_seeds, t - 1.0)

    @property
    def is_above(self) -> Bools:
        """(B,) whether the one-sided p of a mean of zero or less is at most .025."""
        return _above(self.mean, self.error, (1 + CONFIDENCE) / 2)

    @property
    def covers_zero(self) -> Bools:
        """(B,) whether the interval holds zero."""
        return np.abs(self.mean) <= self.error.reach((1 + CONFIDENCE) / 2)

    @property
    def p_above(self) -> Floats:
        """(B,) one-sided p of a mean of zero or less; T = 1."""
        assert self.table.shape[2] == 1
        error = self.error
        with np.errstate(divide="ignore", invalid="ignore"):
            p = stdtr(error.df, -self.mean / error.total)
        return np.where(is_spread(error.total, self.mean), p, 1.0)

    def minus(self, other: Fits) -> Fits:
        """Return the paired differences."""
        return Fits(*(a - b for a, b in zip(self, other, strict=True)))


def _variance_of_mean(scores: Floats, without: Floats) -> Floats:
    n = scores.shape[1]
    return np.maximum((n - 1) * without.var(axis=1), scores.var(axis=1, ddof=1) / n)


def _above(mean: Floats, error: Error, level: float) -> Bools:
    return np.asarray((mean >= error.reach(level)) & is_spread(error.total, mean))


def cross_fits(values: Floats, score: Score = at_best) -> Fits:
    """Return B times `crossfit.cross_fit`."""
    s, t = values.shape[1:3]
    table = _scores(values, score)
    without_unit = _scores(values[:, _others(s)], score).mean(axis=(2, 3))
    without_seed = np.repeat(table.mean(axis=(1, 2))[:, None], t, axis=1)
    if t > 1:
        left = np.moveaxis(values[:, :, _others(t)], 2, 1)  # (B, T, S, T - 1, L)
        without_seed = _scores(left, score).mean(axis=(2, 3))
    return Fits(table, without_unit, without_seed)


def above_last(values: Floats) -> Fits:
    """Return the leads of the best layer over the last (`best_layer.lead`)."""
    return cross_fits(values, lambda means, unit: at_best(means, unit) - unit[..., -1])


def turns(values: Floats) -> list[tuple[Fits, Fits]]:
    """Return for peak and valley how far the chosen inner layer is above the first and the last (`turning`)."""

    def above(end: int) -> Score:
        def score(means: Floats, unit: Floats) -> Floats:
            layer = np.broadcast_to(_inner(means)[..., None], (*unit.shape[:-1], 1))
            return np.take_along_axis(unit, layer, axis=-1)[..., 0] - unit[..., end]

        return score

    return [(cross_fits(side, above(0)), cross_fits(side, above(-1))) for side in (values, -values)]


def has_turn(values: Floats) -> Bools:
    """Return (B,) whether a turn has p ≤ .05."""
    level = 1 - (1 - CONFIDENCE) / 4
    (first, last), (low_first, low_last) = (
        [_above(fits.mean, fits.error, level) for fits in side] for side in turns(values)
    )
    return first & last | low_first & low_last


def p_of_turn(values: Floats) -> Floats:
    """Return (B,) its p; T = 1."""
    sides = [np.maximum(*(fits.p_above for fits in side)) for side in turns(values)]
    return np.minimum(1, 4 * np.minimum(*sides))


def differ(fits: Fits) -> Bools:
    """Return (B,) whether two-sided p ≤ .05."""
    return fits.is_above | Fits(*(-part for part in fits)).is_above


def p_of_difference(fits: Fits) -> Floats:
    """Return (B,) two-sided p; T = 1."""
    return np.minimum(1, 2 * np.minimum(fits.p_above, Fits(*(-part for part in fits)).p_above))


def means_with_errors(values: Floats) -> tuple[Floats, Error]:
    """Return B times `intervals.mean_with_error`: (B, L)."""
    s, t = values.shape[1:3]
    of_units = values.mean(axis=2).var(axis=1, ddof=1) / s
    if t == 1:
        return values.mean(axis=(1, 2)), Error(of_units, s - 1.0)
    of_seeds = values.mean(axis=1).var(axis=1, ddof=1) / t
    return values.mean(axis=(1, 2)), Error(of_units, s - 1.0, of_seeds, t - 1.0)


def hold(values: Floats, tests: int = 1) -> Bools:
    """Return (B, L) whether each interval of a mean (`intervals.reach`) holds zero."""
    mean, error = means_with_errors(values)
    return np.asarray(np.abs(mean) <= error.reach(1 - (1 - CONFIDENCE) / (2 * tests)))


def is_excluded(values: Floats, layer: int) -> Bools:
    """Return (B,) whether a layer is not among the candidates of `best_layer.best_layers`."""
    mean, error = means_with_errors(np.delete(values, layer, axis=-1) - values[..., [layer]])
    return _above(mean, error, 1 - (1 - CONFIDENCE) / mean.shape[1]).any(axis=1)


def may_be_written(p_values: Floats, families: int = 1) -> Bools:
    """Return B times `claims.may_be_written`, (B, P)."""
    order, tests = p_values.argsort(axis=1), p_values.shape[1]
    ascending = np.take_along_axis(p_values, order, axis=1) * (tests - np.arange(tests))
    corrected = np.empty_like(p_values)
    np.put_along_axis(corrected, order, np.maximum.accumulate(np.minimum(1, ascending), axis=1), axis=1)
    return np.asarray((p_values <= SIGNIFICANT) & (families * corrected <= OF_A_PAGE))


def in_parts(results: int, most: int, make: Callable[[int], dict[str, Floats]]) -> dict[str, Floats]:
    """Return what `make` returns of so many results, made in parts that fit in memory."""
    sizes = [min(most, results - start) for start in range(0, results, most)]
    parts = [make(size) for size in sizes]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
