"""Accuracies of weights between zero-shot and fine-tuned, WiSE-FT (Wortsman et al., arXiv 2109.01903), as tidy rows.

Legend: N test images of a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from unseen.atomic_files import csv_text, write_text
from unseen.process_rank import is_first_process
from unseen.runs.transfer.rows import accuracy_row, change_row
from unseen.runs.written_values import in_csv, on_screen

if TYPE_CHECKING:
    from torch import Tensor

    from unseen.encoders.encoder import Encoder
    from unseen.encoders.forgetting import Weights

Right = Sequence["Tensor"]  # for each task, its own first, which images are named right, (N,) bool
FILE = "interpolation.csv"
COLUMNS = (
    "encoder", "trained_on", "technique", "alpha", "tested_on", "role", "accuracy", "accuracy_low", "accuracy_high",
    "change", "change_low", "change_high", "n",
)  # fmt: skip


def decisions_between(
    encoder: Encoder, zero_shot: Weights, alphas: Sequence[float], tested: Callable[[], Right]
) -> Iterator[tuple[float, Right]]:
    """Yield each alpha, in order, with the decisions of the encoder that has the weights there.

    The ends are tested once more, so that a run shows whether they are what was found before and after training.

    Args:
        encoder: Fine-tuned, its names of weights those of `zero_shot` once LoRA is merged, which it is from here on.
        zero_shot: State dict of it before training, on the CPU.
        alphas: From 0, zero-shot, to 1, fine-tuned.
        tested: Gives the decisions of the encoder as it stands.
    """
    from unseen.encoders.forgetting import between
    from unseen.encoders.low_rank import merge_low_rank

    merge_low_rank(encoder)
    for alpha in between(encoder, zero_shot, sorted(map(float, alphas))):
        yield alpha, tested()


class Curve:
    """Accuracies over alpha, written as interpolation.csv after each one.

    Args:
        folder: Of the run.
        encoder: Its short name.
        technique: With its countermeasures.
        tasks: Names, the one that was trained on first.
        zero_shot: Decisions before training.
    """

    def __init__(
        self, folder: Path, encoder: str, technique: str, tasks: Sequence[str], zero_shot: Right
    ) -> None:
        self._folder, self._encoder, self._technique = folder, encoder, technique
        self._tasks, self._zero_shot = tasks, zero_shot
        self._lines: list[tuple[object, ...]] = []
        self._alphas: list[float] = []
        self._of_task: list[tuple[float, float]] = []  # accuracy and change at each alpha
        self._of_others: list[tuple[float, float]] = []  # means over the other tasks

    def add(self, alpha: float, decisions: Right) -> None:
        """Add what was decided at an alpha and bring the file up to date."""
        found = [
            (accuracy_row(name, "accuracy", now), change_row(name, then, now, untrained=alpha == 0))
            for name, then, now in zip(self._tasks, self._zero_shot, decisions, strict=True)
        ]
        for place, (accuracy, change) in enumerate(found):
            numbers = [getattr(row, end) for row in (accuracy, change) for end in ("value", "low", "high")]
            self._add_line(alpha, accuracy.task, "other" if place else "task", numbers, accuracy.n)
        values = [(accuracy.value, change.value) for accuracy, change in found]
        self._alphas.append(alpha)
        self._of_task.append(values[0])
        if others := values[1:]:
            accuracy_of, change_of = (float(np.mean(column)) for column in zip(*others, strict=True))
            self._of_others.append((accuracy_of, change_of))
            nan = float("nan")
            numbers = [accuracy_of, nan, nan, change_of, nan, nan]
            self._add_line(alpha, "other tasks", "mean of others", numbers, len(others))
        if is_first_process():
            write_text(self._folder / FILE, csv_text(COLUMNS, self._lines))

    def _add_line(self, alpha: float, tested_on: str, role: str, numbers: Sequence[float], n: int) -> None:
        where = (self._encoder, self._tasks[0], self._technique, alpha, tested_on, role)
        self._lines.append((*where, *map(in_csv, numbers), n))

    def facts(self) -> dict[str, Any]:
        """Return the curve in short: at each alpha the task's accuracy, and the mean change of the other tasks."""
        found: dict[str, Any] = {
            "alphas": self._alphas,
            "accuracy": [accuracy for accuracy, _ in self._of_task],
        }
        if self._of_others:
            found["mean_change"] = [change for _, change in self._of_others]
        return found

    def table(self) -> Table:
        """Return a row an alpha."""
        table = Table(title="weights (1 - α) zero-shot + α fine-tuned", title_justify="left")
        headings = ["α", f"accuracy on {self._tasks[0]}", "its change"]
        headings += ["mean accuracy on other tasks", "mean change"] if self._of_others else []
        for heading in headings:
            table.add_column(heading, justify="right")
        for place, alpha in enumerate(self._alphas):
            of_others = self._of_others[place] if self._of_others else ()
            table.add_row(f"{alpha:g}", *map(on_screen, (*self._of_task[place], *of_others)))
        return table
