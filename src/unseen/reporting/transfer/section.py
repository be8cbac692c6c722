"""The report's section on transfer: its sentences, tables and figures, from the runs of transfer.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from unseen.reporting.by_key import by_key
from unseen.reporting.layers.figures import side_by_side
from unseen.reporting.layers.place import differing, plain
from unseen.reporting.tables import Table
from unseen.reporting.texts import file_name
from unseen.reporting.theme import FILES, PAGE
from unseen.reporting.transfer.alpha_curves import (
    ALPHA_NOTE,
    SERIES,
    alpha_panel,
    domain_of,
    series_colours,
)
from unseen.reporting.transfer.change_maps import CHANGES_NOTE, change_map, reach_of
from unseen.reporting.transfer.lines import PRIMARY, Line
from unseen.reporting.transfer.outcome_panels import OUTCOME_NOTE, outcome_panel
from unseen.reporting.transfer.section_tables import (
    alphas_table,
    changes_table,
    measures_table,
    settings_table,
    tuned_table,
)
from unseen.reporting.transfer.study import TransferStudy
from unseen.reporting.transfer.study_tables import measure_order, published_table, study_tables
from unseen.reporting.transfer.study_texts import claim, forecast_sentences, sentences_of
from unseen.reporting.transfer.task_runs import OUTCOMES
from unseen.reporting.transfer.tuned_tasks import TunedTask, technique_order
from unseen.reporting.vega_lite import Spec
from unseen.wording import listing

_MOST_CURVES = 48  # panels of weights between zero-shot and fine-tuned on the page; the files have all
_MOST_NAMED = 6  # relations at the top of the page
_HEADINGS = {"gain": "Gain against IIMM", "mean_change": "Change of the other tasks against IIMM"}


@dataclass(frozen=True)
class Panel:
    """A figure of the page."""

    spec: str  # its name
    title: str
    label: str  # for who does not see it


@dataclass(frozen=True)
class TransferSection:
    """What the section holds; empty where there is no run of transfer.py.

    Attributes:
        sentences: What was found, the most important first.
        more: Lines that may be claimed beyond those of the sentences.
        forecasts: What is forecast of tasks that were measured alone.
        tables: By name, those that have rows.
        outcomes: Headings, the name of the file of each, and its panels, one an encoder.
        maps: The panels of changes, one an encoder and technique.
        alphas: Headings, the name of the file of each, and its panels, one a task.
        alpha_key: What the curves of these panels are, and their colours.
        specs: The figures of the page by name.
        files: The figures for files by name.
        note: On the panels of outcomes.
        map_note: On those of changes.
        alpha_note: On those of weights between zero-shot and fine-tuned.
    """

    sentences: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    forecasts: tuple[str, ...] = ()
    tables: dict[str, Table] = field(default_factory=dict)
    outcomes: tuple[tuple[str, str, tuple[Panel, ...]], ...] = ()
    maps: tuple[Panel, ...] = ()
    alphas: tuple[tuple[str, str, tuple[Panel, ...]], ...] = ()
    alpha_key: tuple[tuple[str, str], ...] = tuple(zip(SERIES.values(), series_colours(PAGE), strict=True))
    specs: dict[str, Spec] = field(default_factory=dict)
    files: dict[str, Spec] = field(default_factory=dict)
    note: str = OUTCOME_NOTE
    map_note: str = CHANGES_NOTE
    alpha_note: str = ALPHA_NOTE


def transfer_section(groups: Sequence[TunedTask], study: TransferStudy | None) -> TransferSection:
    """Return the section on groups of runs and their study, as `tuned_tasks` returns them."""
    if not groups:
        return TransferSection()
    tuned = [of for of in groups if of.point]
    tables = [
        tuned_table(groups),
        changes_table(tuned),
        measures_table(groups),
        alphas_table(tuned),
        published_table(),
    ]
    if study:
        tables += [*study_tables(study), settings_table(study.tasks.settings)]
    outcomes, specs, files = _outcomes(tuned, study.lines if study else [])
    maps, map_specs, map_files = _maps(tuned)
    alphas, alpha_specs, alpha_files = _alphas(tuned)
    sentences, more = _sentences(study)
    return TransferSection(
        (*sentences, *_limits(groups, tuned)),
        tuple(more),
        tuple(forecast_sentences(study.forecasts)) if study else (),
        {table.name: table for table in tables if table.rows},
        tuple(outcomes),
        tuple(maps),
        tuple(alphas),
        specs=specs | map_specs | alpha_specs,
        files=files | map_files | alpha_files,
    )


# ------------------------------------------------------------------ figures
def _outcomes(
    tuned: Sequence[TunedTask], found: Sequence[Line]
) -> tuple[list[tuple[str, str, tuple[Panel, ...]]], dict[str, Spec], dict[str, Spec]]:
    techniques = sorted({of.technique for of in tuned}, key=technique_order)
    headed, specs, files = [], {}, {}
    for outcome in OUTCOMES:
        panels, parts = [], []
        for encoder, members in by_key(tuned, lambda of: of.encoder).items():
            made = [
                outcome_panel(members, found, outcome, PRIMARY, theme, techniques) for theme in (PAGE, FILES)
            ]
            if made[0] is None or made[1] is None:
                continue
            name = f"{file_name(outcome, encoder)}-panel"
            specs[name] = made[0]
            parts.append((_titled(members[0]), made[1]))
            panels.append(Panel(name, _titled(members[0]), f"{_HEADINGS[outcome]}, {encoder}"))
        if panels:
            file = f"transfer_{outcome}"
            headed.append((_HEADINGS[outcome], file, tuple(panels)))
            files[file] = side_by_side(parts, _HEADINGS[outcome], OUTCOME_NOTE, columns=2)
    return headed, specs, files


def _maps(tuned: Sequence[TunedTask]) -> tuple[list[Panel], dict[str, Spec], dict[str, Spec]]:
    reach = reach_of(tuned)
    panels, specs, parts = [], {}, []
    for encoder, members in by_key(tuned, lambda of: of.encoder).items():
        tasks = list(dict.fromkeys(of.task for of in members))
        tasks += [task for of in members for task in of.tested if task not in tasks]
        tasks = list(dict.fromkeys(tasks))
        for technique in dict.fromkeys(of.technique for of in members):
            of_technique = [of for of in members if of.technique == technique]
            name = f"{file_name('changes', encoder, technique)}-map"
            title = f"{_titled(members[0])}, {technique}"
            specs[name] = change_map(of_technique, tasks, reach, PAGE)
            parts.append((title, change_map(of_technique, tasks, reach, FILES)))
            panels.append(Panel(name, title, f"change of accuracy of every task, {encoder}, {technique}"))
    title = "Change of accuracy on every task"
    files = {"transfer_changes": side_by_side(parts, title, CHANGES_NOTE, columns=3)} if parts else {}
    return panels, specs, files


def _alphas(
    tuned: Sequence[TunedTask],
) -> tuple[list[tuple[str, str, tuple[Panel, ...]]], dict[str, Spec], dict[str, Spec]]:
    headed = []
    specs: dict[str, Spec] = {}
    files: dict[str, Spec] = {}
    members = by_key([of for of in tuned if of.alphas], lambda of: (of.encoder, of.technique))
    for (encoder, technique), of_both in members.items():
        title, file = f"{_titled(of_both[0])}, {technique}", file_name("transfer_alphas", encoder, technique)
        domain, panels = domain_of(of_both), []
        for of in of_both[: max(0, _MOST_CURVES - len(specs))]:
            name = f"{file_name('alphas', encoder, technique, of.task)}-panel"
            specs[name] = alpha_panel(of, domain, PAGE)
            label = f"accuracy between zero-shot and fine-tuned, {encoder}, {technique}, {of.task}"
            panels.append(Panel(name, of.task, label))
        headed.append((title, file, tuple(panels)))
        parts = [(of.task, alpha_panel(of, domain, FILES)) for of in of_both]
        files[file] = side_by_side(parts, f"Weights between zero-shot and fine-tuned: {title}", ALPHA_NOTE)
    return headed, specs, files


def _titled(of: TunedTask) -> str:
    return f"{of.encoder} (demonstration, no CLIP)" if of.composed else of.encoder


# ------------------------------------------------------------------ in words
def _sentences(study: TransferStudy | None) -> tuple[list[str], list[str]]:
    """Return the study's sentences, and the claims among them that are too many for the top of the page.

    Those of the paper's measure come first, then those of its parts.
    """
    if study is None:
        return ["No run of transfer.py has trained: there are measures alone."], []
    shown = sorted(
        (line for line in study.lines if line.may_be_written), key=lambda line: measure_order(line.measure)
    )
    folded = [claim(line) for line in shown[_MOST_NAMED:]]
    elsewhere = {*folded, *forecast_sentences(study.forecasts)}
    return [text for text in (*sentences_of(study), *study.notes) if text not in elsewhere], folded


def _limits(groups: Sequence[TunedTask], tuned: Sequence[TunedTask]) -> list[str]:
    """Return what the numbers are not, beyond what the study says."""
    sentences = []
    if not tuned and (composed := sorted({of.encoder for of in groups if of.composed})):
        sentences.append(
            f"{listing(composed)}: two towers trained apart and joined, a demonstration and no CLIP."
        )
    single = [of for of in tuned if len(of.runs) == 1]
    if single:
        which = "All" if len(single) == len(tuned) else f"{len(single)} of {len(tuned)}"
        sentences.append(f"{which} trainings have a single seed: what another one would give is not known.")
    return sentences + _not_alike(tuned)


def _not_alike(tuned: Sequence[TunedTask]) -> list[str]:
    """Return in which settings the tasks of one line were not trained alike, but for what held-out accuracy chose."""
    texts = []
    for (encoder, technique), of_line in by_key(tuned, lambda of: (of.encoder, of.technique)).items():
        settings = [_of_training(of) for of in of_line]
        for name in differing(settings):
            values = sorted({plain(one.get(name)) for one in settings})
            texts.append(
                f"The tasks of {encoder}, {technique} were not trained alike: {name} is {' or '.join(values)}."
            )
    return texts


def _of_training(of: TunedTask) -> dict[str, str]:
    run = of.runs[0].of_study
    chosen = run.searched if of.point and of.point.setting else {}
    return {
        name: json.dumps(value)
        for name, value in run.settings.items()
        if name not in run.of_the_task and name not in chosen
    }
