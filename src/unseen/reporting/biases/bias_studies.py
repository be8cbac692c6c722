"""Studies of biases.py in the report: the question of each, and its answer from the runs that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unseen.reporting.biases.band_resolution import band_resolution
from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.biases.section import bias_section
from unseen.reporting.studies.study_about import About, by_study
from unseen.reporting.studies.study_section import StudySection
from unseen.reporting.tables import Table

_TABLES = ("biases", "bias_differences", "own_correlations")


def bias_studies(runs: Sequence[BiasRun]) -> list[StudySection]:
    """Return the sections of the studies to which some of the runs belong; not of those that train.py has begun."""
    found = by_study(runs, lambda run: run.config.get("study"), lambda run: str(run.config.get("size")))
    return [_section(about, size, own) for about, size, own in found if about.analysis in _ANSWERS]


def _section(about: About, size: str, runs: Sequence[BiasRun]) -> StudySection:
    sentences, tables = _ANSWERS[about.analysis](runs)
    named = [replace(table, name=f"study_{about.name}_{size}_{table.name}") for table in tables]
    return StudySection.of(about, size, sentences, named)


def _networks(runs: Sequence[BiasRun]) -> tuple[list[str], list[Table]]:
    """Return differences of networks, and correlations over them, as the section on biases has them of all runs."""
    found = bias_section(runs)
    return [*found.sentences, *found.correlated], [
        found.tables[name] for name in _TABLES if name in found.tables
    ]


_ANSWERS = {"networks": _networks, "band": band_resolution}
