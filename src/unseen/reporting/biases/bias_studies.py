"""Studies of biases.py in the report: the question of each, and its answer from the runs that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from unseen.reporting.biases.band_resolution import band_resolution
from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.biases.section import bias_section
from unseen.reporting.study_effects import About
from unseen.reporting.study_section import StudySection
from unseen.reporting.tables import Table
from unseen.reporting.texts import printable

_TABLES = ("biases", "bias_differences", "own_correlations")


def bias_studies(runs: Sequence[BiasRun]) -> list[StudySection]:
    """Return the sections of the studies to which some of the runs belong; not of those that train.py has begun."""
    members: dict[str, tuple[About, list[BiasRun]]] = {}
    for run in runs:
        try:
            about = About.model_validate(run.config.get("study"))
        except ValidationError:  # of none, or not written as ours are
            continue
        if about.analysis in _ANSWERS:
            members.setdefault(about.name, (about, []))[1].append(run)
    return [_section(*members[name]) for name in sorted(members)]


def _section(about: About, runs: Sequence[BiasRun]) -> StudySection:
    sentences, tables = _ANSWERS[about.analysis](runs)
    size = str(runs[0].config.get("size"))
    named = tuple(replace(table, name=f"study_{about.name}_{size}_{table.name}") for table in tables)
    question, answer = (printable(text, 500) for text in (about.question, about.answer))
    return StudySection(about.name, size, question, answer, tuple(sentences), named, None, None)


def _networks(runs: Sequence[BiasRun]) -> tuple[list[str], list[Table]]:
    """Return differences of networks, and correlations over them, as the section on biases has them of all runs."""
    found = bias_section(runs)
    return [*found.sentences, *found.correlated], [
        found.tables[name] for name in _TABLES if name in found.tables
    ]


_ANSWERS = {"networks": _networks, "band": band_resolution}
