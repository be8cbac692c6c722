"""The folder of a study of runs of transfer.py: its tables as CSV, and what they show in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from unseen.atomic_files import csv_text, write_text
from unseen.reporting.transfer.forecasts import Forecast, KnownTasks
from unseen.reporting.transfer.iimm_parts import PARTS, Weight, WeightChoice
from unseen.reporting.transfer.lines import Line
from unseen.reporting.transfer.points import Point, read_tasks
from unseen.reporting.transfer.settings_tried import Setting
from unseen.reporting.transfer.study import TransferStudy, study_of
from unseen.reporting.transfer.study_texts import sentences_of
from unseen.reporting.transfer.task_runs import OUTCOMES
from unseen.reporting.transfer.techniques import TechniqueDifference


def transfer_study(folders: Sequence[Path], out: Path) -> list[str]:
    """Write the study's tables and summary.txt, and return what they show, in sentences.

    Args:
        folders: Run folders of `transfer.py`, or folders that hold such at any depth.
        out: A folder, made if absent: points.csv, matrix.csv, regressions.csv, iimm_parts.csv, weights.csv,
            forecasts.csv (by number of known tasks), new_tasks.csv, techniques.csv, chosen.csv and summary.txt.

    Raises:
        ValueError: No finished run that has trained, a damaged one, or runs that cannot be compared; one sentence.
    """
    study = study_of(read_tasks(folders))
    out.mkdir(parents=True, exist_ok=True)
    for name, (heading, rows) in _tables(study).items():
        write_text(out / name, csv_text(heading, (map(_cell, row) for row in rows)))
    sentences = [*sentences_of(study), *study.notes]
    write_text(out / "summary.txt", "\n".join(sentences) + "\n")
    return sentences


_Csv = tuple[Sequence[str], Iterable[Iterable[object]]]  # headings and rows


def _tables(study: TransferStudy) -> dict[str, _Csv]:
    """Return the tables by file name: headings and rows."""
    points = study.tasks.points
    names = dict.fromkeys(name for point in points for name in point.measures)
    matrix = (
        (point.encoder, point.technique, point.task, tested, change, point.runs)
        for point in points
        for tested, change in point.changes.items()
    )
    return {
        "points.csv": (
            (
                "encoder", "technique", "task", "runs", "seeds", "setting",
                *(column for outcome in OUTCOMES for column in (outcome, f"{outcome}_sd")), *names,
            ),
            (_point_row(point, names) for point in points),
        ),
        "matrix.csv": (("encoder", "technique", "trained_on", "tested_on", "change", "runs"), matrix),
        "regressions.csv": _of(Line, study.lines),
        "iimm_parts.csv": (
            ("encoder", "technique", "outcome", "n", *(f"r2_{part}" for part in PARTS)),
            (
                (row.encoder, row.technique, row.outcome, row.n, *(row.r2.get(part) for part in PARTS))
                for row in study.parts
            ),
        ),
        "weights.csv": _of(Weight, study.weights),
        "weight_choices.csv": _of(WeightChoice, study.weight_choices),
        "forecasts.csv": _of(KnownTasks, study.known_tasks),
        "new_tasks.csv": _of(Forecast, study.forecasts),
        "techniques.csv": _of(TechniqueDifference, study.technique_differences),
        "chosen.csv": _of(Setting, study.tasks.settings),
    }  # fmt: skip


def _cell(value: object) -> object:
    """Return a value as a cell: none where a number is undefined."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _of(kind: type, rows: Sequence[Any]) -> _Csv:
    return [field.name for field in fields(kind)], map(astuple, rows)


def _point_row(point: Point, names: Iterable[str]) -> list[object]:
    return [
        point.encoder, point.technique, point.task, point.runs,
        " ".join(f"{seed}:{split}" if split else str(seed) for seed, split in point.seeds), point.setting,
        *(of.get(outcome) for outcome in OUTCOMES for of in (point.outcomes, point.spread)),
        *(point.measures.get(name) for name in names),
    ]  # fmt: skip
