"""What a run of biases.py found: two files, a table on the screen, and what loggers get."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from unseen.atomic_files import csv_text, write_text
from unseen.runs.written_values import in_csv, on_screen

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from unseen.biases.measuring import Estimate
    from unseen.runs.biases.parts import Task

SCORE_COLUMNS = ("model", "images", "measure", "value", "low", "high", "n")
CONDITION_COLUMNS = ("model", "images", "measure", "condition", "mean", "n")


class Scores:
    """What was found so far, written as scores.csv and conditions.csv after each measure."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model = folder, model
        self.rows: list[tuple[str, str, Estimate]] = []  # images, measure, value
        self.conditions: list[tuple[str, str, str, float, int]] = []
        self.benchmarks: dict[str, tuple[str, str | None]] = {}  # set: its benchmark and group

    def add(self, task: Task, means: Mapping[str, float], estimates: Mapping[str, Estimate]) -> None:
        """Add what a task found, and bring the files up to date."""
        images = task.images
        self.benchmarks[images.name] = (images.benchmark, images.group)
        self.rows += [(images.name, name, estimate) for name, estimate in estimates.items()]
        self.conditions += [
            (images.name, task.name, condition, mean, len(images)) for condition, mean in means.items()
        ]
        write_text(self.folder / "scores.csv", csv_text(SCORE_COLUMNS, self.cells()))
        conditions = ((self.model, *texts, in_csv(mean), n) for *texts, mean, n in self.conditions)
        write_text(self.folder / "conditions.csv", csv_text(CONDITION_COLUMNS, conditions))

    def cells(self) -> list[tuple[object, ...]]:
        """Return the rows of scores.csv."""
        return [
            (self.model, images, name, *map(in_csv, (value.value, value.low, value.high)), value.n)
            for images, name, value in self.rows
        ]

    def values(self) -> dict[str, dict[str, float]]:
        """Return the values by measure and set."""
        found: dict[str, dict[str, float]] = {}
        for images, name, estimate in self.rows:
            found.setdefault(name, {})[images] = estimate.value
        return found

    def groups(self) -> dict[str, dict[str, Any]]:
        """Return the mean accuracy of each group: of its benchmarks, each the mean over its sets."""
        accuracies: dict[str, dict[str, list[float]]] = {}
        for images, name, estimate in self.rows:
            benchmark, group = self.benchmarks[images]
            if name == "accuracy" and group is not None:
                accuracies.setdefault(group, {}).setdefault(benchmark, []).append(estimate.value)
        return {
            group: {
                "accuracy": float(np.mean([np.mean(values) for values in of_benchmark.values()])),
                "benchmarks": sorted(of_benchmark),
            }
            for group, of_benchmark in accuracies.items()
        }

    def table(self, title: str) -> Table:
        """Return a row a value."""
        table = Table(title=title, title_justify="left")
        for heading in ("measure", "images"):
            table.add_column(heading, no_wrap=True)
        for heading in ("value", "95 % interval", "n"):
            table.add_column(heading, justify="right", no_wrap=True)
        for images, name, estimate in self.rows:
            interval = (
                "–"
                if math.isnan(estimate.low)
                else f"{on_screen(estimate.low)} to {on_screen(estimate.high)}"
            )
            table.add_row(name, images, on_screen(estimate.value), interval, f"{estimate.n:,}")
        return table


def log_scores(loggers: Sequence[Logger], scores: Scores) -> None:
    """Give the loggers the values, biases/MEASURE/IMAGES, and a table of them, where one can show it."""
    from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

    metrics = {
        f"biases/{name}/{images}": value
        for name, of_sets in scores.values().items()
        for images, value in of_sets.items()
        if not math.isnan(value)
    }
    rows = [[cell if cell != "" else None for cell in row] for row in scores.cells()]
    for logger in loggers:
        logger.log_metrics(metrics, step=0)
        if isinstance(logger, WandbLogger):
            logger.log_table("scores", columns=list(SCORE_COLUMNS), data=rows)
        elif isinstance(logger, TensorBoardLogger):
            lines = (SCORE_COLUMNS, ["---"] * len(SCORE_COLUMNS), *rows)
            text = "\n".join(
                f"| {' | '.join('–' if cell is None else str(cell) for cell in row)} |" for row in lines
            )
            logger.experiment.add_text("scores", text)
        logger.save()
        logger.finalize("success")
