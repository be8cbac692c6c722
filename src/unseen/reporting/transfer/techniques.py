"""Which technique gains most, and which forgets least: differences over the tasks that all of them were trained on."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseen.reporting.statistics.association import sign_flip_p
from unseen.reporting.statistics.claims import holm, with_verdicts
from unseen.reporting.statistics.intervals import DIFFERENCE, Floats, estimate
from unseen.reporting.transfer.points import Point
from unseen.reporting.transfer.task_runs import OUTCOMES
from unseen.wording import listing


@dataclass(frozen=True)
class TechniqueDifference:
    """An outcome with one technique less that with another, over n common tasks.

    Attributes:
        difference: Mean over tasks, with the ends of its 95 % interval, t with n - 1 degrees of freedom.
        p: Two-sided, by flipping the signs of the tasks' differences: .031 at least with six tasks.
        p_adjusted: By Holm for all pairs of techniques, outcomes and encoders.
    """

    encoder: str
    outcome: str
    first: str
    second: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float = math.nan


@dataclass(frozen=True)
class BestTechnique:
    """The technique with the largest mean of an outcome over n common tasks.

    Attributes:
        techniques: All that were compared.
        mean: Of the outcome with the best one.
        p: The largest of its p against each of the others, as it is the best only if it is better than all.
        corrected: By Holm for all outcomes and encoders.
        written: Whether a sentence may name it.
    """

    encoder: str
    outcome: str
    technique: str
    techniques: tuple[str, ...]
    n: int
    mean: float
    p: float
    corrected: float = math.nan
    written: bool = False


def compare_techniques(
    points: Sequence[Point],
) -> tuple[list[TechniqueDifference], list[BestTechnique], list[str]]:
    """Return the differences of all pairs of techniques, the best ones, and notes on what was left out.

    Compared are tasks that all techniques of an encoder have an outcome of; mean_change only where they were tested on
    the same other tasks. A technique that changes no other task, as a linear probe does not by construction, is not
    compared in forgetting.
    """
    differences, best, notes = [], [], list[str]()
    encoders = dict.fromkeys(point.encoder for point in points)
    for encoder, outcome in itertools.product(encoders, OUTCOMES):
        columns = _common(encoder, outcome, [point for point in points if point.encoder == encoder], notes)
        if len(columns) < 2:
            continue
        names = list(columns)
        of_pair: dict[tuple[str, str], float] = {}
        for first, second in itertools.combinations(names, 2):
            moved = columns[first] - columns[second]
            # changes of one zero-shot accuracy: their difference is one of two accuracies
            ends = DIFFERENCE if outcome == "mean_change" else (-math.inf, math.inf)
            found, p = estimate(moved).within(*ends), sign_flip_p(moved)
            of_pair[first, second] = of_pair[second, first] = p
            differences.append(
                TechniqueDifference(
                    encoder, outcome, first, second, len(moved), found.mean, found.low, found.high, p
                )
            )
        top = max(names, key=lambda name: float(columns[name].mean()))
        p = max(of_pair[top, name] for name in names if name != top)
        best.append(
            BestTechnique(
                encoder, outcome, top, tuple(names), len(columns[top]), float(columns[top].mean()), p
            )
        )
    adjusted = holm([one.p for one in differences])
    return (
        [replace(one, p_adjusted=p) for one, p in zip(differences, adjusted, strict=True)],
        with_verdicts(best),
        notes,
    )


def _common(encoder: str, outcome: str, points: Sequence[Point], notes: list[str]) -> dict[str, Floats]:
    """Return an outcome over the same tasks, (n,), of each technique that has it."""
    table: dict[str, dict[str, Point]] = defaultdict(dict)
    for point in points:
        if outcome in point.outcomes:
            table[point.technique][point.task] = point
    if outcome == "mean_change":
        still = [
            name for name, of in table.items() if not any(point.outcomes[outcome] for point in of.values())
        ]
        for name in still if len(table) > 1 else ():
            del table[name]
            notes.append(f"{encoder}: {name} changes no other task, and is not compared in forgetting.")
    if len(table) < 2:
        return {}
    every = dict.fromkeys(task for of in table.values() for task in of)
    replayed = [name for name in table if " + replay " in name]
    if replayed and outcome == "mean_change":
        notes.append(f"{encoder}: {listing(replayed)} was trained on images of the other tasks, too.")
    common = [task for task in every if all(task in of for of in table.values())]
    if outcome == "mean_change":
        common = [task for task in common if len({of[task].others for of in table.values()}) == 1]
    if len(common) < len(every):
        left = [task for task in every if task not in common]
        notes.append(
            f"{encoder}: techniques are compared in {outcome} over {len(common)} of {len(every)} tasks; not all have "
            f"{listing(left)}, or not with the same other tasks."
        )
    if not common:
        return {}
    return {name: np.array([of[task].outcomes[outcome] for task in common]) for name, of in table.items()}
