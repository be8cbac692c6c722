"""The study of runs of transfer.py: gain and forgetting over tasks (arXiv 2407.15731)."""

from __future__ import annotations

from dataclasses import dataclass

from unseen.reporting.transfer.forecasts import Forecast, KnownTasks, forecasts, known_tasks
from unseen.reporting.transfer.iimm_parts import PartFits, Weight, WeightChoice, of_parts, weights
from unseen.reporting.transfer.lines import Line, lines
from unseen.reporting.transfer.points import Tasks
from unseen.reporting.transfer.techniques import BestTechnique, TechniqueDifference, compare_techniques


@dataclass(frozen=True)
class TransferStudy:
    """Everything that is worked out of runs of transfer.py."""

    tasks: Tasks
    lines: list[Line]
    parts: list[PartFits]
    weights: list[Weight]
    weight_choices: list[WeightChoice]
    known_tasks: list[KnownTasks]
    forecasts: list[Forecast]
    technique_differences: list[TechniqueDifference]
    best_techniques: list[BestTechnique]
    notes: list[str]


def study_of(tasks: Tasks) -> TransferStudy:
    """Return everything that is worked out of tasks."""
    points = tasks.points
    rows, choices = weights(points)
    differences, best, notes = compare_techniques(points)
    return TransferStudy(
        tasks=tasks,
        lines=lines(points),
        parts=of_parts(points),
        weights=rows,
        weight_choices=choices,
        known_tasks=known_tasks(points),
        forecasts=forecasts(points, tasks.measured),
        technique_differences=differences,
        best_techniques=best,
        notes=tasks.notes + notes,
    )
