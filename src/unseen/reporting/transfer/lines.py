"""Gain and forgetting over tasks against each measure: a line for every encoder and technique (arXiv 2407.15731).

Legend: T tasks of one encoder and technique.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from unseen.reporting.by_key import by_key
from unseen.reporting.statistics import explained, kendall
from unseen.reporting.statistics.claims import judged
from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.statistics.least_squares import (
    fit,
    left_out_errors,
    left_out_errors_of_mean,
    varies,
    varies_without_any,
)
from unseen.reporting.statistics.shuffles import orders, share_reaching
from unseen.reporting.transfer.points import Point
from unseen.reporting.transfer.task_runs import OUTCOMES

FEWEST_TASKS = 4  # of three a line has one degree of freedom
PRIMARY = "iimm"  # what the paper's claim is about; the other scores are compared with it
FAMILIES = 2  # of lines: those of the IIMM, and those of other measures
Group = tuple[str, str]  # encoder, technique


@dataclass(frozen=True)
class Line:
    """The least-squares line of an outcome over T tasks against a measure; NaN where a number is undefined.

    Attributes:
        n: Tasks, T.
        low: Lower end of the 95 % interval of the slope, t with T - 2 degrees of freedom; `high` its upper end.
        r2: With the ends of its 95 % interval.
        p: Of the slope, two-sided, by t: the paper's.
        p_order: Of the slope, two-sided, by the orders of the outcomes over the tasks: no error need be normal.
        tau: Kendall's tau-b, with the ends of its 95 % interval, and its exact p.
        weighted_tau: SciPy's weighted tau, which the paper's code has.
        error: Mean absolute error of the line on a task that it was made without.
        error_of_mean: That of the mean of the other tasks.
        error_by_chance: Mean of `error` over orders of the outcomes: of a measure that has nothing to do with them.
        error_p: Share of the orders whose error is as small.
        p_adjusted: `p_order`, by Holm for all lines of the IIMM, or all of other measures, times two for the families.
        may_be_written: Whether a sentence may claim that the outcome goes with the measure.
    """

    encoder: str
    technique: str
    outcome: str
    measure: str
    n: int
    slope: float
    low: float
    high: float
    intercept: float
    r2: float
    r2_low: float
    r2_high: float
    p: float
    p_order: float
    tau: float
    tau_low: float
    tau_high: float
    tau_p: float
    weighted_tau: float
    error: float
    error_of_mean: float
    error_by_chance: float
    error_p: float
    p_adjusted: float = math.nan
    may_be_written: bool = False


def grouped(points: Iterable[Point]) -> dict[Group, list[Point]]:
    """Return the points of each encoder and technique."""
    return by_key(points, lambda point: (point.encoder, point.technique))


def pairs(members: Iterable[Point], measure: str, outcome: str) -> tuple[Floats, Floats]:
    """Return measure and outcome, (T,) each, of the points that have both."""
    known = [
        (point.measures[measure], point.outcomes[outcome])
        for point in members
        if measure in point.measures and outcome in point.outcomes
    ]
    table = np.array(known, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def measures_of(members: Iterable[Point]) -> list[str]:
    """Return the names of the measures that any of the points has."""
    return list(dict.fromkeys(name for point in members for name in point.measures))


def has_line(x: Floats, y: Floats) -> bool:
    """Return whether four tasks or more have a line that no single one of them makes, and outcomes that differ."""
    return len(x) >= FEWEST_TASKS and varies_without_any(x) and varies(y)


def lines(points: Sequence[Point]) -> list[Line]:
    """Return the line of each outcome against each measure, of every encoder and technique with enough tasks."""
    found = [
        _line(*key, outcome, measure, x, y)
        for key, members in grouped(points).items()
        for outcome in OUTCOMES
        for measure in measures_of(members)
        for x, y in [pairs(members, measure, outcome)]
        if has_line(x, y)
    ]
    verdicts = judge([line.measure for line in found], [line.p_order for line in found])
    return [
        replace(line, p_adjusted=p, may_be_written=may)
        for line, (p, may) in zip(found, verdicts, strict=True)
    ]


def judge(measures: Sequence[str], p_values: Sequence[float]) -> list[tuple[float, bool]]:
    """Return the adjusted p of each line of a study, and whether it may be claimed.

    Lines of the IIMM and lines of other measures are two families, each corrected by Holm for its own number and with
    half of the errors of a page: the IIMM is what is asked about, and sixteen other measures do not hide it.
    """
    verdicts: dict[int, tuple[float, bool]] = {}
    for is_primary in (True, False):
        family = [at for at, measure in enumerate(measures) if (measure == PRIMARY) is is_primary]
        tested = [p_values[at] for at in family]
        verdicts |= dict(zip(family, judged(tested, FAMILIES), strict=True))
    return [verdicts[at] for at in range(len(measures))]


def p_by_order(x: Floats, y: Floats) -> float:
    """Return the share of the orders of outcomes y (T,) over tasks whose slope on x (T,) is as far from zero."""
    return share_reaching(np.abs((y[orders(len(y))] - y.mean()) @ (x - x.mean())))


def _line(encoder: str, technique: str, outcome: str, measure: str, x: Floats, y: Floats) -> Line:
    n, line = len(x), fit(x, y)
    low, high = line.slope_interval
    tested = stats.linregress(x, y)
    shuffled = y[orders(n)]  # (P, T)
    errors = left_out_errors(x, shuffled).mean(axis=1)
    tau, tau_p = kendall.kendall(x, y)
    return Line(
        encoder, technique, outcome, measure, n, line.slope, low, high, line.intercept,
        float(tested.rvalue) ** 2, *explained.interval(float(tested.rvalue), n),
        float(tested.pvalue), p_by_order(x, y),
        tau, *kendall.interval(tau, n), tau_p, kendall.weighted(x, y),
        float(errors[0]), float(left_out_errors_of_mean(y).mean()), float(errors.mean()), share_reaching(-errors),
    )  # fmt: skip
