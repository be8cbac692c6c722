"""The rows of scores.csv of `transfer.py`: accuracies, their changes, and how rows are written, shown and logged."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from unseen.atomic_files import csv_text, write_text
from unseen.process_rank import is_first_process
from unseen.runs.written_values import in_csv, on_screen

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger
    from torch import Tensor

    from unseen.runs.transfer.parts import Captioned

COLUMNS = (
    "encoder", "task", "technique", "measure", "value", "low", "high", "n", "seconds", "percentile",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A line of scores.csv."""

    task: str
    measure: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    seconds: float = math.nan
    percentile: float = math.nan
    technique: str = ""


def accuracy_row(task: str, measure: str, right: Tensor, technique: str = "") -> Row:
    """Return a share with its 95 % interval over images (Wilson, JASA 22, 1927)."""
    from scipy.stats import binomtest

    n, hits = len(right), int(right.sum())
    ends = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return Row(task, measure, hits / n, ends.low, ends.high, n, technique=technique)


def change_row(task: str, then: Tensor, now: Tensor, technique: str = "", *, untrained: bool = False) -> Row:
    """Return the change of a task's accuracy with its 95 % interval over images, each of which was decided twice.

    Half an image is added to each of the four outcomes (Agresti and Min, Stat. Med. 24, 2005). Without them few images
    that change make the interval too short, and none makes it a point.

    Args:
        task: Its name.
        then: (N,) bool, which images were named right before.
        now: (N,) bool, likewise afterwards.
        technique: Of the row.
        untrained: Both are decisions of the same weights, so that no change is known and not estimated.
    """
    n, gained, lost = len(now), int((now & ~then).sum()), int((then & ~now).sum())
    value = (gained - lost) / n
    if untrained:
        return Row(task, "accuracy_change", value, value, value, n, technique=technique)
    middle = (gained - lost) / (n + 2)
    half = 1.959964 * math.sqrt(gained + lost + 1 - (n + 2) * middle**2) / (n + 2)
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Row(task, "accuracy_change", value, low, high, n, technique=technique)


def change_rows(
    tasks: Sequence[Captioned], before: Sequence[Tensor], after: Sequence[Tensor], technique: str
) -> Iterator[Row]:
    """Yield accuracies after training, and changes with their intervals; in the end the mean of the other tasks."""
    changes = []
    for place, (captioned, then, now) in enumerate(zip(tasks, before, after, strict=True)):
        name = captioned.task.name
        yield accuracy_row(name, "accuracy_after", now, technique)
        change = change_row(name, then, now, technique, untrained=technique == "probe" and place > 0)
        changes.append(change.value)
        yield change
        wrong = 1 - float(then.double().mean())
        if place == 0:  # the share of the zero-shot errors that is gone (arXiv 2407.15731)
            yield Row(
                name, "gain", change.value / wrong if wrong else math.nan, n=len(now), technique=technique
            )
    if len(tasks) > 1:
        yield Row(
            "other tasks", "mean_change", float(np.mean(changes[1:])), n=len(tasks) - 1, technique=technique
        )


class Rows:
    """What was found so far, written as scores.csv after each addition."""

    def __init__(self, folder: Path, encoder: str) -> None:
        self._folder, self._encoder = folder, encoder
        self._rows: list[Row] = []

    def add(self, *rows: Row) -> None:
        """Add rows and bring the file up to date."""
        self._rows += rows
        lines = (
            (
                self._encoder, row.task, row.technique, row.measure, in_csv(row.value), in_csv(row.low),
                in_csv(row.high), row.n, in_csv(row.seconds), in_csv(row.percentile),
            )
            for row in self._rows
        )  # fmt: skip
        if is_first_process():
            write_text(self._folder / "scores.csv", csv_text(COLUMNS, lines))

    @staticmethod
    def read(folder: Path) -> list[Row]:
        """Return the rows of a folder's scores.csv, none if it has no such file."""
        path = folder / "scores.csv"
        if not path.is_file():
            return []

        def number(text: str) -> float:
            return float(text) if text else math.nan

        with path.open(encoding="utf-8", newline="") as file:
            return [
                Row(
                    line["task"], line["measure"], number(line["value"]), number(line["low"]), number(line["high"]),
                    int(line["n"]), number(line["seconds"]), number(line["percentile"]), line["technique"],
                )
                for line in csv.DictReader(file)
            ]  # fmt: skip

    def values(self) -> dict[str, dict[str, float]]:
        """Return the values by measure and task."""
        found: dict[str, dict[str, float]] = {}
        for row in self._rows:
            found.setdefault(row.measure, {})[row.task] = row.value
        return found

    def table(self, title: str) -> Table:
        """Return a row a value."""
        table = Table(title=title, title_justify="left")
        for heading in ("task", "measure"):
            table.add_column(heading, no_wrap=True)
        for heading in ("value", "95 % interval", "n", "seconds", "above shuffled labels"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self._rows:
            interval = "–" if math.isnan(row.low) else f"{on_screen(row.low)} to {on_screen(row.high)}"
            share = "–" if math.isnan(row.percentile) else f"{row.percentile:.0f} %"
            seconds = "–" if math.isnan(row.seconds) else f"{row.seconds:.2f}"
            table.add_row(row.task, row.measure, on_screen(row.value), interval, f"{row.n:,}", seconds, share)
        return table


def log_rows(loggers: Sequence[Logger], rows: Rows, step: int) -> None:
    """Give the values to the loggers: transfer/MEASURE/TASK, at the last step of training."""
    metrics: Mapping[str, float] = {
        f"transfer/{measure}/{task}": value
        for measure, of_tasks in rows.values().items()
        for task, value in of_tasks.items()
        if not math.isnan(value)
    }
    for logger in loggers:
        logger.log_metrics(dict(metrics), step=step)
        logger.save()
        logger.finalize("success")
