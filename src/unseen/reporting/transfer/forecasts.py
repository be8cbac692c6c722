"""What k known tasks say of another one: errors of forecasts by k, and forecasts for tasks that were only measured.

Legend: T tasks of one encoder and technique.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from unseen.reporting.statistics.intervals import CONFIDENCE, Floats
from unseen.reporting.statistics.least_squares import FEWEST, fit, varies
from unseen.reporting.transfer.lines import PRIMARY, grouped, has_line, pairs
from unseen.reporting.transfer.points import MeasuredTask, Point
from unseen.reporting.transfer.task_runs import OUTCOMES, RANGES

SUBSETS = 200  # at most, of so many tasks
_SEED = 20240731
_ENDS = ("forecast", "low", "high", "mean", "mean_low", "mean_high")


@dataclass(frozen=True)
class KnownTasks:
    """Forecasts of the tasks left out by lines against the IIMM through k of T tasks.

    Attributes:
        subsets: How many choices of k tasks: all, or 200 of them. They share tasks, and are no independent trials.
        error: Mean absolute error of the forecast.
        error_of_mean: Of the mean of the k tasks as a forecast.
        covered: Share of left-out tasks in the 95 % interval of the forecast.
        width: Median width of that interval.
    """

    encoder: str
    technique: str
    outcome: str
    measure: str
    n: int
    k: int
    subsets: int
    error: float
    error_of_mean: float
    covered: float
    width: float


@dataclass(frozen=True)
class Forecast:
    """What is forecast for a task that an encoder was measured on and not trained with a technique.

    Attributes:
        n: Tasks known.
        value: The measure of the task.
        forecast: By the line of these tasks, with the ends of its 95 % interval for one new task; 1 at most,
            and of a change −1 at least.
        mean: Of these tasks, and the ends of its 95 % interval for one new task: the forecast without a measure.
        extrapolates: Whether the measure is beyond those of all known tasks: nothing shows that the line goes on there.
    """

    encoder: str
    technique: str
    outcome: str
    task: str
    measure: str
    n: int
    value: float
    forecast: float
    low: float
    high: float
    mean: float
    mean_low: float
    mean_high: float
    extrapolates: bool


def known_tasks(points: Sequence[Point]) -> list[KnownTasks]:
    """Return how good forecasts from k = 3 ... T - 1 tasks are, where there is a line through all T."""
    return [
        _of_k(encoder, technique, outcome, x, y, k)
        for (encoder, technique), members in grouped(points).items()
        for outcome in OUTCOMES
        for x, y in [pairs(members, PRIMARY, outcome)]
        if has_line(x, y)
        for k in range(FEWEST, len(x))
    ]


def _of_k(encoder: str, technique: str, outcome: str, x: Floats, y: Floats, k: int) -> KnownTasks:
    errors, of_mean, covered, widths, subsets = [], [], [], [], 0
    for chosen in _subsets(len(x), k):
        out = np.setdiff1d(np.arange(len(x)), chosen)
        if not varies(x[chosen]):
            continue  # no line
        line = fit(x[chosen], y[chosen])
        low, high = line.forecast(x[out])
        errors += np.abs(y[out] - line.at(x[out])).tolist()
        of_mean += np.abs(y[out] - y[chosen].mean()).tolist()
        covered += ((low <= y[out]) & (y[out] <= high)).tolist()
        widths += (high - low).tolist()
        subsets += 1
    error, error_of_mean, share = (
        float(np.mean(one)) if one else math.nan for one in (errors, of_mean, covered)
    )
    width = float(np.median(widths)) if widths else math.nan
    return KnownTasks(
        encoder, technique, outcome, PRIMARY, len(x), k, subsets, error, error_of_mean, share, width
    )


def _subsets(n: int, k: int) -> list[list[int]]:
    """Return all choices of k of n, or 200 different ones of them."""
    if math.comb(n, k) <= SUBSETS:
        return [list(chosen) for chosen in itertools.combinations(range(n), k)]
    rng = np.random.default_rng([_SEED, n, k])
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < SUBSETS:
        drawn.add(tuple(sorted(rng.choice(n, k, replace=False).tolist())))
    return [list(chosen) for chosen in sorted(drawn)]


def forecasts(points: Sequence[Point], measured: Sequence[MeasuredTask]) -> list[Forecast]:
    """Return forecasts of each outcome for the tasks that were measured, but not trained with a technique.

    Three tasks at least; with three the t interval has one degree of freedom and is very wide, as it should be.
    """
    found = []
    for (encoder, technique), members in grouped(points).items():
        trained = {point.task for point in members}
        new = [
            task
            for task in measured
            if task.encoder == encoder and task.task not in trained and PRIMARY in task.measures
        ]
        for outcome in OUTCOMES if new else ():
            x, y = pairs(members, PRIMARY, outcome)
            if len(x) >= FEWEST and varies(x) and varies(y):
                found += [_forecast(technique, outcome, x, y, task) for task in new]
    return found


def _forecast(technique: str, outcome: str, x: Floats, y: Floats, task: MeasuredTask) -> Forecast:
    value, line, n = task.measures[PRIMARY], fit(x, y), len(x)
    least, most = RANGES[outcome]
    low, high = line.forecast(value)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * y.std(ddof=1) * math.sqrt(1 + 1 / n))
    mean = float(y.mean())
    ends = (line.at(value), low, high, mean, mean - reach, mean + reach)
    return Forecast(
        encoder=task.encoder,
        technique=technique,
        outcome=outcome,
        task=task.task,
        measure=PRIMARY,
        n=n,
        value=value,
        extrapolates=line.extrapolates(value),
        **{name: min(most, max(least, float(end))) for name, end in zip(_ENDS, ends, strict=True)},
    )
