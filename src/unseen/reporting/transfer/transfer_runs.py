"""A run folder of transfer.py, checked before any number of it is used: it may have been made by anyone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from unseen.reporting.checked_rows import LARGEST, ROUNDING, Maybe, MeasuredRow, read_checked_rows
from unseen.reporting.run_files import Count, Name, RunFacts, Share, checked, naming, read_config
from unseen.reporting.transfer.interpolations import FILE as INTERPOLATION
from unseen.reporting.transfer.interpolations import Curve, read_curve
from unseen.reporting.transfer.task_runs import TaskRun, read_task_run

BEFORE, AFTER, CHANGE = "accuracy_before", "accuracy_after", "accuracy_change"
GAIN, MEAN_CHANGE = "gain", "mean_change"
OTHER_TASKS = "other tasks"  # the task of mean_change
NOT_TRAINED = "none"  # the technique of measure_only=true
_COLUMNS = ("encoder", "task", "technique", "measure", "value", "low", "high", "n", "seconds", "percentile")


class TransferFacts(RunFacts):
    """The facts of summary.json that the report uses; the model is the file of configs/encoder."""

    encoder: Name  # what the encoder calls itself
    composed: bool
    data: Name
    technique: Name
    held_out_accuracies: list[Share] | None = None  # by which one of several settings is chosen
    trainable_parameters: Count | None = None


_MaybeName = Annotated[Name | None, BeforeValidator(lambda cell: cell or None)]


class Score(MeasuredRow):
    """A row of scores.csv; NaN where there is no value, no interval, no time or no percentile."""

    encoder: Name
    task: Name
    technique: _MaybeName
    n: Count
    seconds: Maybe
    percentile: Maybe

    @property
    def place(self) -> str:
        """Measure and task."""
        return f"{self.measure} of {self.task}"

    @property
    def wrong(self) -> str:
        """What no run writes."""
        if not all(abs(number) <= LARGEST for number in _finite(self.seconds)):
            return "seconds that are not finite"
        if self.measure in {BEFORE, AFTER} and not all(_within(number, 0, 1) for number in self.known):
            return "an accuracy outside of 0..1"
        if self.measure in {CHANGE, MEAN_CHANGE} and not _within(self.value, -1, 1):
            return "a change of accuracy outside of -1..1"
        if self.measure in {BEFORE, AFTER, CHANGE, MEAN_CHANGE} and math.isnan(self.value):
            return "no value"
        if not all(_within(number, 0, 100) for number in _finite(self.percentile)):
            return "a percentile outside of 0..100"
        return super().wrong


def _finite(number: float) -> tuple[float, ...]:
    return () if math.isnan(number) else (number,)


def _within(number: float, low: float, high: float) -> bool:
    """Return whether a number lies between two others, with a margin for rounding; NaN does."""
    return not (number < low - ROUNDING or number > high + ROUNDING)


Key = tuple[str, str]  # (task, measure)


@dataclass(frozen=True, eq=False)
class TransferRun:
    """One finished run of transfer.py."""

    folder: Path
    name: str  # the folder as shown to a person
    facts: TransferFacts
    scores: dict[Key, Score]
    of_study: TaskRun  # what a study over tasks takes of it
    curve: Curve  # empty where weights between zero-shot and fine-tuned were not tested
    study: object = None  # what its configuration says of the study that it belongs to, not checked

    @property
    def values(self) -> dict[Key, float]:
        """The finite values."""
        return {key: row.value for key, row in self.scores.items() if math.isfinite(row.value)}

    @property
    def others(self) -> tuple[str, ...]:
        """The other tasks that it was tested on."""
        return tuple(task for task, measure in self.scores if measure == BEFORE and task != self.facts.data)


def read_transfer_run(folder: Path, name: str, content: dict[str, Any]) -> TransferRun:
    """Return a finished run.

    Args:
        folder: Where it is.
        name: The folder as shown to a person.
        content: Of its summary.json.

    Raises:
        ValueError: One sentence that names the file.
    """
    with naming("summary.json"):
        facts = checked(TransferFacts, content)
    with naming("scores.csv"):
        rows = read_checked_rows(folder / "scores.csv", Score, _COLUMNS)
        scores = {(row.task, row.measure): row for row in rows}
        _check_agree(facts, scores)
    with naming("config.yaml"):
        config = read_config(folder / "config.yaml")
        _check_numbers(config)
        of_study = read_task_run(folder)
    with naming(INTERPOLATION):
        curve = read_curve(folder / INTERPOLATION, (facts.model, facts.data, facts.technique))
    assert of_study is not None  # it is finished
    return TransferRun(folder, name, facts, scores, of_study, curve, config.get("study"))


def _check_numbers(config: object) -> None:
    """Refuse settings that cannot be compared: NaN differs from itself, and huge numbers are no floats."""
    found = [config]
    while found:
        one = found.pop()
        if isinstance(one, dict | list):
            found += one.values() if isinstance(one, dict) else one
        elif isinstance(one, int | float) and not abs(one) <= LARGEST:
            raise ValueError("it has a number that is not finite, or above 1e12")


def _check_agree(facts: TransferFacts, scores: dict[Key, Score]) -> None:
    """Refuse rows that are of another run than the facts, and numbers that do not follow from their own accuracies."""
    for row in scores.values():
        if row.encoder != facts.model:
            raise ValueError(f"it has rows of {row.encoder}, and summary.json is of {facts.model}")
        if row.technique not in {None, facts.technique}:
            raise ValueError(f"it has rows of {row.technique}, and summary.json is of {facts.technique}")
    # embeddings of a file have no test images
    needed = () if facts.technique == NOT_TRAINED else (BEFORE, AFTER, CHANGE)
    if facts.technique != NOT_TRAINED and not facts.held_out_accuracies:
        raise ValueError("summary.json lacks held_out_accuracies")
    if facts.data not in {task for task, _ in scores}:
        raise ValueError(f"it has no row of {facts.data}")
    for measure in needed:
        if (facts.data, measure) not in scores:
            raise ValueError(f"it lacks {measure} of {facts.data}")
    values = {key: row.value for key, row in scores.items()}
    changes = {task: value for (task, measure), value in values.items() if measure == CHANGE}
    for task, change in changes.items():
        if (task, BEFORE) not in values or (task, AFTER) not in values:
            raise ValueError(f"it has a change of {task} without both accuracies")
        _check_same(f"{CHANGE} of {task}", change, values[task, AFTER] - values[task, BEFORE])
    wrong = 1 - values.get((facts.data, BEFORE), 1)
    if wrong > ROUNDING and (facts.data, GAIN) in values:
        _check_same(f"{GAIN} of {facts.data}", values[facts.data, GAIN], changes.get(facts.data, 0) / wrong)
    elsewhere = [change for task, change in changes.items() if task != facts.data]
    if elsewhere and (OTHER_TASKS, MEAN_CHANGE) in values:
        _check_same(MEAN_CHANGE, values[OTHER_TASKS, MEAN_CHANGE], sum(elsewhere) / len(elsewhere))


def _check_same(what: str, written: float, by_its_rows: float) -> None:
    if not math.isclose(written, by_its_rows, rel_tol=ROUNDING, abs_tol=ROUNDING):
        raise ValueError(f"{what} is {written:.4g}, by its accuracies it is {by_its_rows:.4g}")
