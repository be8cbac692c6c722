"""The study of the 48 published networks, from the shipped table to a folder of tables, figures and a page."""

from __future__ import annotations

from pathlib import Path

from unseen.reporting.biases.conclusion_texts import in_words
from unseen.reporting.biases.conclusions import conclusions, variants
from unseen.reporting.biases.correlations import correlate_biases, correlate_subsets
from unseen.reporting.biases.networks import Networks, published_networks
from unseen.reporting.biases.regressions import regressions
from unseen.reporting.biases.study_folder import SOURCE, CorrelationStudy, write_study
from unseen.reporting.biases.study_tables import (
    bias_table,
    conclusion_table,
    correlation_table,
    regression_table,
    variant_table,
)


def published_study(out: Path, own: Networks | None = None) -> list[str]:
    """Write the study of the 48 networks of arXiv 2404.01509 and return what it shows, in sentences.

    Args:
        out: A folder, made if absent: correlations.csv (72 rows), bias_correlations.csv (36), variants.csv,
            regressions.csv and conclusions.csv, each as Markdown and LaTeX, too; figures/, summary.txt and page.html,
            which holds all of it and loads nothing.
        own: Networks to be drawn over the published ones, see `unseen.reporting.biases.own_networks`; no number of the
            study depends on them.
    """
    networks = published_networks()
    correlations, changed = correlate_subsets(networks), variants()
    pairs, rows = correlate_biases(networks), conclusions(correlations, changed)
    subsets = networks.subsets()
    together = [row for subset, part in subsets.items() for row in regressions(part, subset)]
    sentences = in_words(networks, rows, together)
    tables = (
        conclusion_table(rows),
        regression_table(together),
        correlation_table(correlations),
        bias_table(pairs),
        variant_table(changed),
    )
    title = "Do biases of ImageNet networks go with how they generalize?"
    write_study(CorrelationStudy(title, networks, correlations, pairs, tables, sentences, own, SOURCE), out)
    return sentences
