"""Runs of transfer.py that differ in their seed alone, put together, and how such groups are told apart by name.

A study refuses runs that cannot be compared; the report gives them names of their own.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseen.reporting.by_key import by_key
from unseen.reporting.collect import LeftOut, newest_of_each
from unseen.reporting.layers.place import Settings, differing, told
from unseen.reporting.statistics.intervals import Estimate, estimate
from unseen.reporting.transfer.points import Point, tasks_of
from unseen.reporting.transfer.settings_tried import chosen_runs
from unseen.reporting.transfer.study import TransferStudy, study_of
from unseen.reporting.transfer.task_runs import RANGES, TaskRun
from unseen.reporting.transfer.transfer_runs import CHANGE, NOT_TRAINED, TransferRun

# in this order in tables and legends
_TECHNIQUES = ("full", "attention", "bitfit", "lora", "adapter", "probe")


@dataclass(frozen=True, eq=False)
class TunedTask:
    """An encoder on a task by a technique: runs that were trained alike but for their seeds.

    Where runs of one encoder, task or technique cannot be compared, its name has the settings in which they differ.

    Attributes:
        technique: `none` where the task was measured alone.
        runs: By seed; of several settings those that held-out accuracy chooses.
        point: What the study takes of it; None of a task that was measured alone.
    """

    encoder: str
    task: str
    technique: str
    runs: tuple[TransferRun, ...]
    point: Point | None

    @property
    def composed(self) -> bool:
        """Whether the encoder is a demonstration and no CLIP."""
        return self.runs[0].facts.composed

    def own(self, measure: str) -> Estimate:
        """Return a number of the task that it was trained on, over the seeds."""
        return self.over_seeds(self.runs[0].facts.data, measure)

    def outcome(self, name: str) -> Estimate:
        """Return `gain` or `mean_change` over the seeds, without an interval; n = 0 where it is not defined."""
        if self.point is None or name not in self.point.outcomes:
            return Estimate()
        return Estimate(self.point.outcomes[name], self.point.spread[name], n=self.point.runs)

    def over_seeds(self, task: str, measure: str) -> Estimate:
        """Return the mean of a number over the seeds that have it, with standard deviation and t interval."""
        values = [run.values.get((task, measure), math.nan) for run in self.runs]
        return estimate(np.array(values, dtype=float)).within(*RANGES.get(measure, (-math.inf, math.inf)))

    @property
    def alphas(self) -> list[float]:
        """Where between zero-shot (0) and fine-tuned (1) weights were tested."""
        return sorted({alpha for run in self.runs for alpha, _ in run.curve})

    def at_alpha(self, alpha: float, role: str, number: str = "accuracy") -> Estimate:
        """Return accuracy or change over the seeds, of `task` or of the `mean of others`; n = 0 where none has it."""
        rows = [run.curve.get((alpha, role)) for run in self.runs]
        values = np.array([getattr(row, number) if row else math.nan for row in rows], dtype=float)
        return estimate(values).within(
            *RANGES[f"accuracy_{number}" if number == "change" else "accuracy_after"]
        )

    @property
    def tested(self) -> dict[str, str]:
        """The tasks whose accuracy changed, the own one first: as they are called here, and in the runs."""
        found = dict.fromkeys(task for run in self.runs for task, measure in run.values if measure == CHANGE)
        return {self.task if task == self.runs[0].facts.data else task: task for task in found}


def tuned_tasks(runs: Iterable[TransferRun]) -> tuple[list[TunedTask], TransferStudy | None, list[LeftOut]]:
    """Put runs together that differ in their seeds alone, and study them.

    Returns:
        The groups by encoder, task and technique; the study of those that trained, if any; and runs that do not
        count, because a newer one has their settings and seeds.
    """
    again = "the same settings and seed were run again: {} is used"
    kept, left_out = newest_of_each(runs, _settings_and_seeds, again)
    named = dict(zip((run.folder for run in kept), _renamed([run.of_study for run in kept]), strict=True))
    by_folder = {run.folder: run for run in kept}
    trained = any(run.technique for run in named.values())
    study = study_of(tasks_of(list(named.values()))) if trained else None
    points = {(one.encoder, one.task, one.technique): one for one in study.tasks.points} if study else {}
    members = by_key(named.values(), lambda run: (run.encoder, run.task, run.technique))
    groups = []
    for (encoder, task, technique), of_group in members.items():
        chosen = chosen_runs(of_group)[0] if technique else sorted(of_group, key=lambda run: run.seeds)
        of_chosen = tuple(by_folder[run.folder] for run in chosen)
        point = points.get((encoder, task, technique))
        groups.append(TunedTask(encoder, task, technique or NOT_TRAINED, of_chosen, point))
    return (
        sorted(groups, key=lambda of: (of.encoder, of.task, technique_order(of.technique))),
        study,
        left_out,
    )


def technique_order(technique: str) -> tuple[int, str]:
    """Return by what techniques are sorted: those that train most first, no training last."""
    name = technique.partition(" ")[0]
    order = (*_TECHNIQUES, NOT_TRAINED)
    return (order.index(name) if name in order else len(_TECHNIQUES), technique)


def _settings_and_seeds(run: TransferRun) -> tuple[str, ...]:
    """Return what is equal for runs of which one counts; runs that tested other tasks have other hashes."""
    of_study = run.of_study
    settings = json.dumps(of_study.settings, sort_keys=True)
    return (of_study.encoder, of_study.task, of_study.technique, settings, str(of_study.seeds))


# ------------------------------------------------------------------ names
def _renamed(runs: Sequence[TaskRun]) -> list[TaskRun]:
    """Return the runs with names under which all of one name can be compared."""
    runs = _told_apart(runs, "encoder", lambda run: (run.encoder,), lambda run: run.of_the_encoder)
    runs = _told_apart(runs, "task", lambda run: (run.encoder, run.task), lambda run: run.of_the_task)
    # settings that were chosen for each task do not tell techniques apart
    return _told_apart(
        runs,
        "technique",
        lambda run: (run.encoder, run.technique),
        lambda run: run.fixed,
        lambda run: run.task,
    )


Key = tuple[str, ...]


def _told_apart(
    runs: Sequence[TaskRun],
    field: str,
    key: Callable[[TaskRun], Key],
    settings: Callable[[TaskRun], dict[str, object]],
    within: Callable[[TaskRun], str] = lambda _: "",
) -> list[TaskRun]:
    """Return runs whose encoder, task or technique has the settings in its name in which its runs differ.

    Args:
        runs: Any.
        field: encoder, task or technique.
        key: Which runs have one name.
        settings: What must not differ among them.
        within: Of which runs with equal values here the settings are compared.
    """
    families: dict[Key, dict[str, list[Settings]]] = defaultdict(lambda: defaultdict(list))
    texts = [{name: json.dumps(value) for name, value in settings(run).items()} for run in runs]
    for run, text in zip(runs, texts, strict=True):
        families[key(run)][within(run)].append(text)
    differ = {
        of: list(dict.fromkeys(name for alike in family.values() for name in differing(alike)))
        for of, family in families.items()
    }
    return [_named(run, field, text, differ[key(run)]) for run, text in zip(runs, texts, strict=True)]


def _named(run: TaskRun, field: str, settings: Settings, differ: Sequence[str]) -> TaskRun:
    text = told(settings, differ)
    if not text or (field == "technique" and not run.technique):
        return run
    if field == "encoder":
        return replace(run, encoder=f"{run.encoder} ({text})")
    if field == "technique":
        return replace(run, technique=f"{run.technique} ({text})")
    task = f"{run.task} ({text})"
    changes = {task if tested == run.task else tested: value for tested, value in run.changes.items()}
    return replace(run, task=task, changes=changes)
