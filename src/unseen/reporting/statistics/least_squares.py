"""The least-squares line through a few points: its slope, its band, forecasts, and its error on a point left out.

Legend: n points. Intervals take the points as independent draws with normal errors of one size around a line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from unseen.reporting.statistics.intervals import CONFIDENCE, Floats

FEWEST = 3  # of two points a line leaves nothing over
_ROUNDING = 1e-12  # a spread below this share of the values is rounding


@dataclass(frozen=True)
class Fit:
    """A line through n points.

    Attributes:
        residual: Standard deviation of the errors, n - 2 degrees of freedom.
        centre: Mean of x.
        squares: Sum of (x - centre)².
        least: Smallest x; `most` the largest.
    """

    n: int
    slope: float
    intercept: float
    residual: float
    centre: float
    squares: float
    least: float
    most: float

    @property
    def t(self) -> float:
        """How many standard errors a 95 % interval reaches to each side."""
        return _t(self.n - 2)

    @property
    def slope_interval(self) -> tuple[float, float]:
        """The 95 % interval of the slope."""
        reach = self.t * self.residual / math.sqrt(self.squares)
        return self.slope - reach, self.slope + reach

    def at(self, x: Any) -> Any:
        """Return the line at x, of any shape."""
        return self.intercept + self.slope * np.asarray(x, dtype=float)

    def band(self, x: Any) -> tuple[Any, Any]:
        """Return the ends of the 95 % interval of the line's true height at each x by itself."""
        reach = self.t * self.residual * np.sqrt(self._share(x))
        return self.at(x) - reach, self.at(x) + reach

    def forecast(self, x: Any) -> tuple[Any, Any]:
        """Return the ends of the 95 % interval of the value of a new point at each x by itself."""
        reach = self.t * self.residual * np.sqrt(1 + self._share(x))
        return self.at(x) - reach, self.at(x) + reach

    def extrapolates(self, x: float) -> bool:
        """Return whether x is beyond all points."""
        return not self.least <= x <= self.most

    def _share(self, x: Any) -> Any:
        return 1 / self.n + (np.asarray(x, dtype=float) - self.centre) ** 2 / self.squares


@lru_cache(maxsize=64)
def _t(freedom: int) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def fit(x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> Fit:
    """Return the line of y against x, three points or more.

    Raises:
        ValueError: Fewer points, or all at one x.

    >>> line = fit([0, 1, 2, 3], [1, 3, 5, 8])
    >>> round(line.slope, 2), round(line.residual, 4)
    (2.3, 0.3873)
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(xs) < FEWEST or not varies(xs):
        raise ValueError(f"a line needs {FEWEST} points at different places, got {len(xs)}")
    centre, middle = float(xs.mean()), float(ys.mean())
    centred = xs - centre
    squares = float(centred @ centred)
    # SciPy's linregress takes a millisecond, and thousands are made
    slope = float(centred @ (ys - middle)) / squares
    errors = ys - middle - slope * centred
    residual = math.sqrt(float(errors @ errors) / (len(xs) - 2))
    return Fit(
        len(xs), slope, middle - slope * centre, residual, centre, squares, float(xs.min()), float(xs.max())
    )


def varies(values: Sequence[float] | Floats) -> bool:
    """Return whether values differ by more than rounding."""
    numbers = np.asarray(values, dtype=float)
    return bool(np.ptp(numbers) > _ROUNDING * max(1e-300, float(np.abs(numbers).max())))


def varies_without_any(values: Sequence[float] | Floats) -> bool:
    """Return whether values still differ when any one of them is left out."""
    ordered = np.sort(np.asarray(values, dtype=float))
    return varies(ordered[:-1]) and varies(ordered[1:])


def left_out_errors(x: Sequence[float] | Floats, y: Floats) -> Floats:
    """Return the absolute error of the line at each point when it is fitted without it.

    Args:
        x: (n,) which vary without any one of them.
        y: (..., n) one row of values after the other.

    Returns:
        (..., n). The error of a fit without a point is the error with it, divided by one minus its leverage.
    """
    xs = np.asarray(x, dtype=float)
    centred = xs - xs.mean()
    hat = 1 / len(xs) + np.outer(centred, centred) / (centred @ centred)
    errors: Floats = np.abs(y - y @ hat) / (1 - np.diag(hat))
    return errors


def left_out_errors_of_mean(y: Floats) -> Floats:
    """Return the absolute error (..., n) of the mean of the other points at each point; y is (..., n)."""
    n = y.shape[-1]
    errors: Floats = np.abs(y - y.mean(axis=-1, keepdims=True)) * n / (n - 1)
    return errors


def r_squared(x: Floats, y: Floats) -> Floats:
    """Return the squared correlation (...) of rows of y (..., n), each of which varies, with x (n,)."""
    xs, ys = x - x.mean(), y - y.mean(axis=-1, keepdims=True)
    shares: Floats = (ys @ xs) ** 2 / ((xs @ xs) * (ys * ys).sum(axis=-1))
    return shares
