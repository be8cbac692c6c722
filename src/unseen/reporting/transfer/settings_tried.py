"""Which of several training settings a task's outcome is taken from: that with the best held-out accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.reporting.by_key import by_key
from unseen.reporting.transfer.task_runs import TaskRun
from unseen.wording import count, listing


@dataclass(frozen=True)
class Setting:
    """One of several settings that a task was trained with by a technique.

    Attributes:
        text: The settings in which they differ, as they are typed.
        runs: One for each seed.
        held_out_accuracy: At the best epoch, mean over the runs. No test image is in it.
        chosen: Whether outcomes are taken from these runs: the highest mean, of equal ones the first in order of the
            values.
    """

    encoder: str
    technique: str
    task: str
    text: str
    runs: int
    held_out_accuracy: float
    chosen: bool


def chosen_runs(runs: Sequence[TaskRun]) -> tuple[list[TaskRun], list[Setting], list[str]]:
    """Return the runs of the setting with the best mean held-out accuracy, all settings that were tried, and notes.

    Accuracy on test images is never used. Of runs with the same settings and seeds the last one counts.

    Args:
        runs: Of one encoder, technique and task.

    Raises:
        ValueError: There are several settings, and a run without held-out accuracies.
    """
    notes, kept = [], dict[tuple[object, ...], TaskRun]()
    for run in sorted(runs, key=lambda run: run.written):
        kept[tuple(sorted((name, repr(value)) for name, value in run.searched.items())), run.seeds] = run
    what = f"{runs[0].task} ({runs[0].encoder}, {runs[0].technique})"
    if len(kept) < len(runs):
        notes.append(
            f"{what}: {count(len(runs) - len(kept), 'run')} with the settings and seed of a later one left out."
        )
    names = sorted({name for run in runs for name in run.searched if _differs(name, runs)})
    groups = by_key(kept.values(), lambda run: tuple(run.searched.get(name) for name in names))
    if len(groups) == 1:
        return sorted(kept.values(), key=lambda run: run.seeds), [], notes
    for run in kept.values():
        if math.isnan(run.held_out):
            raise ValueError(
                f"{what} was trained with several settings ({listing(names)}), and {run.folder} has no "
                "held_out_accuracies, by which one is chosen"
            )
    ordered = sorted(groups.items(), key=lambda group: tuple(map(_in_order, group[0])))
    means = [float(np.mean([run.held_out for run in members])) for _, members in ordered]
    best = int(np.argmax(means))
    seeds = {frozenset(run.seeds for run in members) for _, members in ordered}
    if len(seeds) > 1:
        notes.append(
            f"{what}: settings were not tried with the same seeds, so their held-out accuracies are of other images."
        )
    tried = [
        Setting(
            runs[0].encoder, runs[0].technique, runs[0].task,
            ", ".join(f"{name}={value}" for name, value in zip(names, key, strict=True)),
            len(members), mean, place == best,
        )
        for place, ((key, members), mean) in enumerate(zip(ordered, means, strict=True))
    ]  # fmt: skip
    return sorted(ordered[best][1], key=lambda run: run.seeds), tried, notes


def _differs(name: str, runs: Sequence[TaskRun]) -> bool:
    return any(run.searched.get(name) != runs[0].searched.get(name) for run in runs)


def _in_order(value: object) -> tuple[int, float, str]:
    """Return what sorts numbers by size, before texts."""
    is_number = isinstance(value, int | float)
    return (0, float(value), "") if is_number else (1, 0.0, str(value))  # type: ignore[arg-type]
