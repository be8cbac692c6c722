"""Studies of transfer.py in the report: the question of each, and its answer from the tables that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from unseen.reporting.number_texts import p_text, signed
from unseen.reporting.statistics.association import smallest_flip_p
from unseen.reporting.statistics.claims import SIGNIFICANT
from unseen.reporting.studies.study_about import About, by_study
from unseen.reporting.studies.study_section import StudySection
from unseen.reporting.tables import Column, Row, Table
from unseen.reporting.transfer.level_effects import LevelEffect, level_effects
from unseen.reporting.transfer.sample_needs import needs_and_captions
from unseen.reporting.transfer.study import TransferStudy
from unseen.reporting.transfer.study_tables import study_tables
from unseen.reporting.transfer.study_texts import (
    composed_sentence,
    known_sentences,
    line_sentences,
    weight_sentences,
)
from unseen.reporting.transfer.transfer_runs import TransferRun
from unseen.reporting.transfer.tuned_tasks import tuned_tasks
from unseen.wording import count

_OUTCOMES = {"gain": "gain", "mean_change": "mean change of the other tasks"}
_Answer = tuple[list[str], list[Table]]


def transfer_studies(runs: Sequence[TransferRun]) -> list[StudySection]:
    """Return the sections of the studies to which some of the runs belong, by name and size."""
    found = by_study(runs, lambda run: run.study, lambda run: str(run.of_study.settings.get("size", "demo")))
    return [_section(*study) for study in found]


def _section(about: About, size: str, runs: Sequence[TransferRun]) -> StudySection:
    answer = _ANSWERS.get(about.analysis, _levels)
    sentences, tables = answer(about, runs)
    composed = sorted({run.facts.model for run in runs if run.facts.composed})
    if composed:
        sentences.append(composed_sentence(composed))
    named = [replace(table, name=f"study_{about.name}_{size}_{table.name}") for table in tables if table.rows]
    return StudySection.of(about, size, sentences, named)


# ------------------------------------------------------------------ of settings that are swept
def _levels(about: About, runs: Sequence[TransferRun]) -> _Answer:
    effects, problems = level_effects(runs, about.reference)
    sentences = [*problems]
    for factor in dict.fromkeys(one.factor for one in effects):
        sentences += _of_factor([one for one in effects if one.factor == factor])
    return sentences, [_effect_table(effects)]


def _of_factor(effects: Sequence[LevelEffect]) -> list[str]:
    factor, reference = effects[0].factor, next((one.level for one in effects if one.is_reference), None)
    compared = [one for one in effects if one.difference.n]
    if reference is None or not compared:
        return [
            f"{factor}: nothing is compared, because no task and seed was run at its reference and at another level."
        ]
    n = max(one.difference.n for one in compared)
    shown = [_changed(one) for one in compared if one.written]
    text = f"{factor}, against {reference}, over {count(n, 'task')}: "
    if shown:
        return [
            text
            + f"{'; '.join(shown)}; by flipping the signs of the tasks' differences, with all counted (Holm)."
        ]
    why = (
        f"which {n} tasks never show"
        if smallest_flip_p(n) > SIGNIFICANT
        else "which does not show that there is none"
    )
    largest = [
        _changed(
            max((one for one in compared if one.outcome == outcome), key=lambda one: abs(one.difference.mean))
        )
        for outcome in dict.fromkeys(one.outcome for one in compared)
    ]
    return [
        text
        + f"no level is shown to change gain or forgetting by flipping the signs of the tasks' differences, {why}. "
        f"The largest differences: {'; '.join(largest)}."
    ]


def _changed(one: LevelEffect) -> str:
    size = signed(one.difference.mean)
    if one.difference.n > 2:
        size += f" [{signed(one.difference.low)}, {signed(one.difference.high)}]"
    return f"{_OUTCOMES[one.outcome]} at {one.level} differs by {size} ({p_text(one.corrected)} by Holm)"


def _effect_table(effects: Sequence[LevelEffect]) -> Table:
    note = (
        "Gain: share of the zero-shot errors that is gone. Means over tasks; the difference from the reference is "
        "paired by task, seed and the levels of all other factors, and averaged for each task, with a 95 % t interval "
        "over n tasks. p by flipping the signs of the tasks' differences, .031 at least with six; Holm: for all rows."
    )
    columns = (
        Column("factor"), Column("level"), Column("of"), Column("mean", spread=False),
        Column("− reference", spread=False), Column("n", hint="tasks"), Column("p", probability=True),
        Column("p (Holm)", probability=True),
    )  # fmt: skip
    rows = [
        Row(
            (
                one.factor, one.level + " (reference)" * one.is_reference, _OUTCOMES[one.outcome], one.mean,
                one.difference if one.difference.n else None, one.difference.n or None, one.p, one.corrected,
            ),
            mark="best" if one.is_reference else "",
        )
        for one in effects
    ]  # fmt: skip
    return Table("levels", "Gain and forgetting at each level", note, columns, tuple(rows))


# ------------------------------------------------------------------ of lines over tasks
def _from(
    say: Callable[[TransferStudy], list[str]], fewest: int, *names: str
) -> Callable[[About, Sequence[TransferRun]], _Answer]:
    """Return an answer of sentences and tables of the study that `study=own` makes of at least `fewest` tasks."""

    def answer(_: About, runs: Sequence[TransferRun]) -> _Answer:
        study = tuned_tasks(runs)[1]
        if study is None:
            return ["No run of this study has trained, so there is no gain to forecast."], []
        tasks = len({point.task for point in study.tasks.points})
        none = [
            f"Nothing can be said of {count(tasks, 'task')}: it takes {fewest} with one encoder and technique."
        ]
        return say(study) or none, [table for table in study_tables(study) if table.name in names]

    return answer


def _sample_need(_: About, runs: Sequence[TransferRun]) -> _Answer:
    sentences, tables = needs_and_captions(runs)
    return sentences or ["No run of this study has sample_need.csv or prompts.csv."], tables


_ANSWERS = {
    "sample_need": _sample_need,
    "forecasts": _from(lambda study: known_sentences(study.known_tasks), 4, "forecasts"),
    "weights": _from(lambda study: weight_sentences(study.weight_choices), 5, "weight_choices"),
    "scores": _from(
        lambda study: line_sentences(study.lines) if study.lines else [],
        4,
        "transfer_lines",
        "transfer_scores",
    ),
}
