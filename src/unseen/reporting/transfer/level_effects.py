"""What the settings that a study sweeps do to gain and forgetting: each value against a reference, over tasks.

A study names its factors, and the level of each that the others are compared with (`study.reference`). A run at one
level is paired with the run at the reference that has the same task, seed, tested tasks and levels of all other
factors; the differences of a task are averaged, so that a task is a point. `study=own` compares techniques in the same
way.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.reporting.statistics.association import sign_flip_p
from unseen.reporting.statistics.claims import with_verdicts
from unseen.reporting.statistics.intervals import Estimate, estimate
from unseen.reporting.studies.study_about import order_of_level
from unseen.reporting.transfer.task_runs import OUTCOMES, RANGES
from unseen.reporting.transfer.transfer_runs import TransferRun


@dataclass(frozen=True)
class LevelEffect:
    """An outcome at one level of a factor.

    Attributes:
        mean: Over the tasks, each the mean over its runs.
        difference: From the reference over n tasks that have both, with a 95 % t interval; n = 0 of the reference.
        p: Two-sided, by flipping the signs of the tasks' differences.
        corrected: By Holm for all levels, factors and outcomes.
        written: Whether a sentence may say that the difference is not zero.
    """

    factor: str
    level: str
    is_reference: bool
    outcome: str
    mean: Estimate
    difference: Estimate
    p: float
    corrected: float = math.nan
    written: bool = False


def level_effects(
    runs: Sequence[TransferRun], reference: Mapping[str, Any]
) -> tuple[list[LevelEffect], list[str]]:
    """Return the effects of every level of every factor, and why some runs are not compared."""
    wanted = {factor: level_text(level) for factor, level in reference.items()}
    placed: dict[tuple[str, ...], TransferRun] = {}
    problems = []
    for run in sorted(runs, key=lambda one: one.facts.written or ""):
        place = (*_same_of(run), *(level_of(run, factor) for factor in wanted))
        if place in placed and placed[place].of_study.settings != run.of_study.settings:
            problems.append(
                f"{run.name} and {placed[place].name} have the same levels and differ in further settings."
            )
        placed[place] = run
    if problems:
        return [], [f"Nothing is compared: {problems[0]}"]
    found = [
        effect
        for at, factor in enumerate(wanted, start=-len(wanted))
        for effect in _of_factor(factor, wanted[factor], at, placed)
    ]
    return with_verdicts(found), []


def level_of(run: TransferRun, factor: str) -> str:
    """Return the level of a factor in a run: a setting's value, or the file of a group."""
    groups = {"encoder": run.facts.model, "technique": run.of_study.technique.partition(" ")[0]}
    return groups.get(factor) or level_text(run.of_study.settings.get(factor))


def level_text(level: Any) -> str:
    """Return a level as text; whole numbers are equal to themselves with a point.

    >>> level_text(1), level_text(1.0), level_text(True), level_text("full")
    ('1', '1', 'true', 'full')
    """
    if isinstance(level, int | float) and not isinstance(level, bool):
        return f"{level:g}"
    return level if isinstance(level, str) else json.dumps(level)


def _same_of(run: TransferRun) -> tuple[str, ...]:
    of = run.of_study
    return (run.facts.data, json.dumps(of.seeds), json.dumps(sorted(of.changes)))


def _of_factor(
    factor: str, reference: str, at: int, placed: Mapping[tuple[str, ...], TransferRun]
) -> list[LevelEffect]:
    """Compare the levels of one factor; `at` is its place in the keys of `placed`, from their end."""
    by_level: dict[str, dict[tuple[str, ...], TransferRun]] = defaultdict(dict)
    for place, run in placed.items():
        rest = list(place)
        level = rest.pop(at)
        by_level[level][tuple(rest)] = run
    others = by_level.get(reference, {})
    effects = []
    for level in sorted(by_level, key=lambda one: (one != reference, order_of_level(one))):
        for outcome in OUTCOMES:
            least, most = RANGES[outcome]
            values: dict[str, list[float]] = defaultdict(list)
            moved: dict[str, list[float]] = defaultdict(list)
            for place, run in by_level[level].items():
                value = run.of_study.outcomes.get(outcome)
                other = others[place].of_study.outcomes.get(outcome) if place in others else None
                if value is not None:
                    values[place[0]].append(value)
                if value is not None and other is not None:
                    moved[place[0]].append(value - other)
            difference, p = Estimate(), math.nan
            if level != reference and moved:
                means = np.array([np.mean(of_task) for of_task in moved.values()])
                difference, p = estimate(means).within(least - most, most - least), sign_flip_p(means)
            mean = (
                estimate(np.array([np.mean(of_task) for of_task in values.values()])).within(least, most)
                if values
                else Estimate()
            )
            effects.append(LevelEffect(factor, level, level == reference, outcome, mean, difference, p))
    return effects
