"""Two things timed in turn, and what the pairs say: medians, quartiles, exponents of growth."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

PAIRS = 5  # fewer are shown, but claim nothing


class Pair(NamedTuple):
    """Seconds of both sides, taken in turn."""

    ours: float
    reference: float


class Spread(NamedTuple):
    """Median, quartiles and range of a few numbers."""

    median: float
    lower: float
    upper: float
    least: float
    most: float
    count: int


class Exponent(NamedTuple):
    """Slope of log(time) over log(size), with its standard error."""

    value: float
    error: float


def spread(values: Sequence[float]) -> Spread:
    """Return median, quartiles (linear between neighbours) and range.

    >>> spread([1.0, 2.0, 3.0, 4.0, 100.0])
    Spread(median=3.0, lower=2.0, upper=4.0, least=1.0, most=100.0, count=5)
    """
    least, lower, median, upper, most = (
        float(value) for value in np.percentile(values, (0, 25, 50, 75, 100))
    )
    return Spread(median, lower, upper, least, most, len(values))


def seconds(task: Callable[[], object]) -> float:
    """Return how long a call takes; garbage of what ran before is collected first."""
    gc.collect()
    began = time.perf_counter()
    task()
    return time.perf_counter() - began


def timed(task: Callable[[], object]) -> Callable[[], float]:
    """Return a function that does the task and returns its seconds."""
    return lambda: seconds(task)


def take_pairs(
    take: Callable[[int], Pair],
    *,
    pairs: int = PAIRS,
    on_pair: Callable[[int, Pair], object] = lambda *_: None,
    go_on: Callable[[], bool] = lambda: True,
) -> list[Pair]:
    """Return some pairs.

    Args:
        take: Takes the pair with this number, counted from 0.
        pairs: How many.
        on_pair: Told of each finished pair, for the progress line.
        go_on: Asked before each pair but the first; False ends early.
    """
    found: list[Pair] = []
    for number in range(pairs):
        if found and not go_on():
            break
        found.append(take(number))
        on_pair(number, found[-1])
    return found


def alternate(ours: Callable[[], float], reference: Callable[[], float], **settings: Any) -> list[Pair]:
    """Return pairs of seconds; ours comes first in every other pair, so that a drift favours neither.

    Args:
        ours: Does our side and returns its seconds.
        reference: Does the other.
        settings: Of `take_pairs`.
    """

    def take(number: int) -> Pair:
        if number % 2 == 0:
            mine = ours()
            return Pair(mine, reference())
        theirs = reference()
        return Pair(ours(), theirs)

    return take_pairs(take, **settings)


def fit_exponent(sizes: Sequence[float], times: Sequence[float]) -> Exponent:
    """Return the least-squares slope of log(time) over log(size) and its standard error.

    Repeated measurements are given as repeated sizes; with two points the error is unknown (NaN).

    >>> fit_exponent([1, 2, 4], [3.0, 12.0, 48.0])
    Exponent(value=2.0, error=0.0)
    """
    x, y = np.log(np.asarray(sizes, dtype=float)), np.log(np.asarray(times, dtype=float))
    if len(np.unique(x)) < 2:
        raise ValueError("an exponent needs two sizes or more")
    x -= x.mean()
    slope = float(x @ y / (x @ x))
    residuals = y - y.mean() - slope * x
    free = len(x) - 2
    error = math.sqrt(float(residuals @ residuals) / free / float(x @ x)) if free > 0 else math.nan
    return Exponent(round(slope, 6), round(error, 6))
