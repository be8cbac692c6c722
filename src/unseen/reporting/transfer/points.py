"""Tasks as points: what was measured of each before training, and what its runs gained and forgot."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unseen.reporting.by_key import by_key
from unseen.reporting.transfer.settings_tried import Setting, chosen_runs
from unseen.reporting.transfer.task_runs import TaskRun, read_task_run
from unseen.wording import count, listing


@dataclass(frozen=True)
class Point:
    """One task that an encoder was fine-tuned on with a technique, means over its runs.

    Attributes:
        measures: Taken before training, by name.
        outcomes: `gain`, and `mean_change` of the other tasks where there are such; by name.
        changes: Change of accuracy of every task that was tested, by its name.
        runs: How many: one for each seed.
        spread: Standard deviation over runs of each outcome (ddof 1; NaN of one run).
        seeds: Of the runs and of the splits of the data.
        composed: Whether the encoder is two towers trained apart and joined, a demonstration and no CLIP.
        setting: What was chosen by held-out accuracy; empty where there was nothing to choose.
    """

    encoder: str
    technique: str
    task: str
    measures: dict[str, float]
    outcomes: dict[str, float]
    changes: dict[str, float]
    runs: int
    spread: dict[str, float] = field(default_factory=dict)
    seeds: tuple[tuple[int, int], ...] = ()
    composed: bool = False
    setting: str = ""

    @property
    def others(self) -> frozenset[str]:
        """The other tasks that were tested."""
        return frozenset(self.changes) - {self.task}


@dataclass(frozen=True)
class MeasuredTask:
    """A task that an encoder was measured on, trained or not; means over its runs."""

    encoder: str
    task: str
    measures: dict[str, float]
    composed: bool = False


@dataclass(frozen=True)
class Tasks:
    """What run folders hold.

    Attributes:
        points: Tasks that were trained on.
        measured: All tasks, for forecasts of what was not trained.
        settings: Of tasks that were trained with several settings: each, with its held-out accuracy.
        notes: What was left out or is uneven, in sentences.
    """

    points: list[Point]
    measured: list[MeasuredTask]
    settings: list[Setting]
    notes: list[str]


def read_tasks(folders: Sequence[Path]) -> Tasks:
    """Return the tasks of finished runs of transfer.py in folders, at any depth.

    Raises:
        ValueError: None has trained, one is damaged, or runs of one task or encoder cannot be compared; one sentence.
    """
    found = {path.parent.resolve(): path.parent for root in folders for path in root.rglob("scores.csv")}
    runs = [run for folder in sorted(found.values()) if (run := read_task_run(folder)) is not None]
    if not any(run.technique for run in runs):
        raise ValueError(f"no finished run of transfer.py that has trained is in {listing(folders)}")
    return tasks_of(runs)


def tasks_of(runs: Sequence[TaskRun]) -> Tasks:
    """Return the tasks of runs.

    Raises:
        ValueError: Runs of one task or encoder cannot be compared; one sentence.
    """
    trained = [run for run in runs if run.technique]
    _check_alike(trained)
    points, settings, notes = [], [], list[str]()
    for members in _grouped(trained).values():
        taken, tried, said = chosen_runs(members)
        settings += tried
        chosen = next((one.text for one in tried if one.chosen), "")
        points.append(_point(taken, chosen, said))
        notes += said
    measured = [
        MeasuredTask(one.encoder, one.task, one.measures, one.composed) for one in _one_of_each(points)
    ]
    measured += _untrained([run for run in runs if not run.technique], measured, notes)
    return Tasks(points, measured, settings, notes + _uneven(points, settings))


def _grouped(runs: Iterable[TaskRun]) -> dict[tuple[str, str, str], list[TaskRun]]:
    return dict(sorted(by_key(runs, lambda run: (run.encoder, run.technique, run.task)).items()))


def _one_of_each(points: Sequence[Point]) -> list[Point]:
    """Return a point of each encoder and task: measures are those before training, whatever the technique."""
    return list({(point.encoder, point.task): point for point in points}.values())


# ------------------------------------------------------------------ what may be compared
def _check_alike(runs: Sequence[TaskRun]) -> None:
    """Refuse runs whose mean, difference or line would be of different things."""
    first: dict[tuple[str, ...], TaskRun] = {}
    for run in runs:
        for what, key in (
            ("fixed", (run.encoder, run.task, run.technique)),
            ("of_the_task", (run.encoder, run.task)),
            ("of_the_encoder", (run.encoder,)),
        ):
            other = first.setdefault(key, run)
            differing = _differing(getattr(other, what), getattr(run, what))
            if differing:
                of = "encoder" if what == "of_the_encoder" else "task"
                raise ValueError(
                    f"{other.folder} and {run.folder} are runs of one {of} and differ in {listing(differing)}: runs= "
                    "of a study must name runs that differ in seed, optimizer, epochs or settings of a technique alone"
                )


def _differing(one: dict[str, object], another: dict[str, object]) -> list[str]:
    return sorted(name for name in one.keys() | another.keys() if one.get(name) != another.get(name))


def _untrained(
    runs: Sequence[TaskRun], known: Sequence[MeasuredTask], notes: list[str]
) -> list[MeasuredTask]:
    """Return tasks that were measured alone; one whose runs differ is left out, with a note."""
    trained = {(one.encoder, one.task) for one in known}
    found = []
    for (encoder, _, task), members in _grouped(runs).items():
        if (encoder, task) in trained:
            continue
        differing = {name for run in members for name in _differing(members[0].of_the_task, run.of_the_task)}
        if differing:
            notes.append(
                f"{task} ({encoder}) was measured with different {listing(sorted(differing))}: no forecast for it."
            )
            continue
        found.append(
            MeasuredTask(encoder, task, _means(run.measures for run in members), members[0].composed)
        )
    return found


# ------------------------------------------------------------------ means over runs
def _point(runs: Sequence[TaskRun], setting: str, notes: list[str]) -> Point:
    first = runs[0]
    what = f"{first.task} ({first.encoder}, {first.technique})"
    ceilings = sum(run.at_most for run in runs)
    if ceilings:
        of = "" if ceilings == len(runs) else f" in {ceilings} of {count(len(runs), 'run')}"
        notes.append(f"{what}: zero-shot accuracy is 1{of}, of which no gain is defined; left out of gains.")
    tested = [frozenset(run.changes) - {run.task} for run in runs]
    outcomes = [run.outcomes for run in runs]
    common = frozenset.intersection(*tested)
    if len(set(tested)) > 1:
        notes.append(
            f"{what}: its runs tested different other tasks; mean_change is over those of all: "
            f"{listing(sorted(common)) or 'none'}."
        )
        outcomes = [
            {name: value for name, value in run.outcomes.items() if name != "mean_change"}
            | (
                {"mean_change": float(np.mean([run.changes[task] for task in sorted(common)]))}
                if common
                else {}
            )
            for run in runs
        ]
    return Point(
        first.encoder,
        first.technique,
        first.task,
        _means(run.measures for run in runs),
        _means(outcomes),
        _means(run.changes for run in runs),
        len(runs),
        {name: _spread([one[name] for one in outcomes if name in one]) for name in _means(outcomes)},
        tuple(run.seeds for run in runs),
        first.composed,
        setting,
    )


def _means(values: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each number over those that have it."""
    rows = list(values)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _uneven(points: Sequence[Point], settings: Sequence[Setting]) -> list[str]:
    """Return what tasks of one encoder and technique do not share."""
    tried: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for one in settings:
        tried[one.encoder, one.technique, one.task].add(one.text)
    notes = []
    for (encoder, technique), members in by_key(points, lambda one: (one.encoder, one.technique)).items():
        if len({point.seeds for point in members}) > 1:
            runs = ", ".join(f"{point.task} {point.runs}" for point in members)
            notes.append(f"{encoder}, {technique}: tasks do not have the same seeds (runs: {runs}).")
        if len({frozenset(tried[encoder, technique, point.task]) for point in members}) > 1:
            notes.append(
                f"{encoder}, {technique}: tasks were not trained with the same settings to choose from."
            )
        pools = {point.others | {point.task} for point in members if "mean_change" in point.outcomes}
        if len(pools) > 1:
            notes.append(
                f"{encoder}, {technique}: mean_change is over different other tasks for different tasks."
            )
    return notes
