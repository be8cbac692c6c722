"""What of the IIMM goes with gain and forgetting: its parts side by side, and its two halves in other weights.

Legend: T tasks of one encoder and technique, W weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.statistics.least_squares import fit, left_out_errors, r_squared
from unseen.reporting.transfer.lines import grouped, has_line
from unseen.reporting.transfer.points import Point
from unseen.reporting.transfer.task_runs import OUTCOMES

PARTS = ("iimm", "inter", "intra", "correct", "inter_text", "gap")
WEIGHTS = tuple(step / 10 for step in range(11))
_FEWEST_TO_CHOOSE = 5  # tasks: a weight is chosen on one less, each of which is left out once more


@dataclass(frozen=True)
class PartFits:
    """The R² of one outcome over the same T tasks against each part of the IIMM; parts that they lack are left out."""

    encoder: str
    technique: str
    outcome: str
    n: int
    r2: dict[str, float]


@dataclass(frozen=True)
class Weight:
    """The line against w · intra + (1 - w) · inter: its R², and its mean absolute error on a task left out."""

    encoder: str
    technique: str
    outcome: str
    n: int
    w: float
    r2: float
    error: float


@dataclass(frozen=True)
class WeightChoice:
    """What choosing the weight is worth.

    Attributes:
        best_w: The weight with the smallest error on tasks left out, chosen after all outcomes are known.
        best_error: Its error, which that choice makes too small.
        error: Of w = .5, the IIMM.
        nested_error: Mean absolute error on a task left out where the weight is chosen without it, too.
        lowest_w: Smallest weight that was so chosen; `highest_w` the largest.
    """

    encoder: str
    technique: str
    outcome: str
    n: int
    best_w: float
    best_error: float
    error: float
    nested_error: float
    lowest_w: float
    highest_w: float


def of_parts(points: Sequence[Point]) -> list[PartFits]:
    """Return the R² of each part, for every encoder, technique and outcome with four tasks that have the same parts."""
    found = []
    for (encoder, technique), members in grouped(points).items():
        for outcome in OUTCOMES:
            known = [point for point in members if outcome in point.outcomes and PARTS[0] in point.measures]
            parts = [name for name in PARTS if known and all(name in point.measures for point in known)]
            y = np.array([point.outcomes[outcome] for point in known])
            columns = {name: np.array([point.measures[name] for point in known]) for name in parts}
            r2 = {name: float(r_squared(x, y)) for name, x in columns.items() if has_line(x, y)}
            if r2:
                found.append(PartFits(encoder, technique, outcome, len(y), r2))
    return found


def weights(points: Sequence[Point]) -> tuple[list[Weight], list[WeightChoice]]:
    """Return the lines against the IIMM with weights 0, .1, ..., 1, and what choosing one of them is worth.

    A choice needs five tasks, whose halves of the IIMM give lines in every weight without any one of them.
    """
    rows, choices = [], []
    for (encoder, technique), members in grouped(points).items():
        for outcome in OUTCOMES:
            known = [
                point
                for point in members
                if outcome in point.outcomes and {"intra", "inter"} <= point.measures.keys()
            ]
            y = np.array([point.outcomes[outcome] for point in known])
            x = np.array(
                [
                    [w * point.measures["intra"] + (1 - w) * point.measures["inter"] for point in known]
                    for w in WEIGHTS
                ]
            )  # (W, T)
            if not all(has_line(one, y) for one in x):
                continue
            of = (encoder, technique, outcome, len(y))
            errors = [float(left_out_errors(one, y).mean()) for one in x]
            rows += [
                Weight(*of, w, float(r_squared(one, y)), error)
                for w, one, error in zip(WEIGHTS, x, errors, strict=True)
            ]
            nested = _nested(x, y)
            if nested is not None:
                best = int(np.argmin(errors))
                chosen = [WEIGHTS[at] for at in nested[1]]
                choices.append(
                    WeightChoice(
                        *of,
                        WEIGHTS[best],
                        errors[best],
                        errors[WEIGHTS.index(0.5)],
                        nested[0],
                        min(chosen),
                        max(chosen),
                    )
                )
    return rows, choices


def _nested(x: Floats, y: Floats) -> tuple[float, list[int]] | None:
    """Return the mean absolute error where the weight is chosen without the task, and which are chosen; x is (W, T)."""
    n = len(y)
    if n < _FEWEST_TO_CHOOSE:
        return None
    errors, chosen = [], []
    for out in range(n):
        kept = np.arange(n) != out
        if not all(has_line(one[kept], y[kept]) for one in x):
            return None
        inner = [float(left_out_errors(one[kept], y[kept]).mean()) for one in x]
        best = int(np.argmin(inner))
        errors.append(abs(float(y[out] - fit(x[best, kept], y[kept]).at(x[best, out]))))
        chosen.append(best)
    return float(np.mean(errors)), chosen
