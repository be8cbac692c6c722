"""A study in the report: its question, the answer as far as the tests allow, a figure, and the table of its factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unseen.reporting.studies.cue_clusters import cue_figure, cue_networks, cue_sentences, cue_table
from unseen.reporting.studies.cut_networks import cut_sentences, cuts, cuts_table
from unseen.reporting.studies.downstream_use import (
    downstream_sentences,
    downstream_uses,
    networks_table,
    predictions_table,
)
from unseen.reporting.studies.layer_ensembles import ensemble_gains, ensemble_sentences, ensembles_table
from unseen.reporting.studies.study_about import About
from unseen.reporting.studies.study_effects import Study
from unseen.reporting.studies.study_figures import study_figure
from unseen.reporting.studies.study_tables import study_sentences, study_table
from unseen.reporting.tables import Table
from unseen.reporting.texts import printable
from unseen.reporting.theme import FILES, PAGE
from unseen.reporting.vega_lite import Spec


@dataclass(frozen=True)
class StudySection:
    """What the page shows of a study."""

    name: str
    size: str
    question: str
    answer: str  # what would count as one
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]  # without rows where there is nothing to compare
    figure: Spec | None  # of the page
    file: Spec | None  # the same for figures/

    @classmethod
    def of(
        cls,
        about: About,
        size: str,
        sentences: Sequence[str],
        tables: Sequence[Table],
        figure: Spec | None = None,
        file: Spec | None = None,
    ) -> StudySection:
        """Return the section with the question of a study."""
        question, answer = (printable(text, 500) for text in (about.question, about.answer))
        return cls(about.name, size, question, answer, tuple(sentences), tuple(tables), figure, file)

    @property
    def figure_name(self) -> str:
        """What both are called."""
        return f"study_{self.name}_{self.size}"


def study_section(study: Study) -> StudySection:
    """Return the section of a study."""
    about, figure, file = study.about, study_figure(study, PAGE), study_figure(study, FILES)
    if about.analysis == "downstream_use":
        found = downstream_uses(study.configurations, study.parts)
        tables = [make(about.name, study.size, found) for make in (predictions_table, networks_table)]
        sentences = [*study.problems, *downstream_sentences(found)]
    elif about.analysis == "cut":
        networks = cuts(study.configurations, study.parts)
        tables = [cuts_table(about.name, study.size, networks)]
        sentences = [*study.problems, *cut_sentences(networks)]
    elif about.analysis == "ensembles":
        gains = ensemble_gains(study.configurations, study.parts)
        tables = [ensembles_table(about.name, study.size, gains)]
        sentences = [*study.problems, *ensemble_sentences(gains)]
    elif about.analysis == "cue":
        clusters = cue_networks(study)
        tables = [study_table(study), cue_table(about.name, study.size, clusters)]
        sentences = [*study_sentences(study), *cue_sentences(clusters)]
        figure, file = (cue_figure(clusters, theme) for theme in (PAGE, FILES))
    else:
        tables, sentences = [study_table(study)], study_sentences(study)
    titled = file and file | {"title": tables[0].title, "padding": 12}
    return StudySection.of(about, study.size, sentences, tables, figure, titled)
