"""The study of the 48 published networks, from the shipped table to a folder of tables, figures and a page."""

from __future__ import annotations

from pathlib import Path

from unseen.atomic_files import write_text
from unseen.reporting.biases.conclusion_texts import in_words
from unseen.reporting.biases.conclusions import conclusions, variants
from unseen.reporting.biases.correlations import correlate_biases, correlate_subsets
from unseen.reporting.biases.networks import published_networks
from unseen.reporting.biases.regressions import regressions
from unseen.reporting.biases.study_tables import (
    bias_table,
    conclusion_table,
    correlation_table,
    regression_table,
    variant_table,
)
from unseen.reporting.tables import write_tables


def published_study(out: Path) -> list[str]:
    """Write the study of the 48 networks of arXiv 2404.01509 and return what it shows, in sentences.

    Args:
        out: A folder, made if absent: correlations.csv (72 rows), bias_correlations.csv (36), variants.csv,
            regressions.csv and conclusions.csv, each as Markdown and LaTeX, too, and summary.txt.
    """
    networks = published_networks()
    correlations, changed = correlate_subsets(networks), variants()
    rows = conclusions(correlations, changed)
    together = [row for subset, part in networks.subsets().items() for row in regressions(part, subset)]
    sentences = in_words(networks, rows, together)
    tables = [
        correlation_table(correlations),
        bias_table(correlate_biases(networks)),
        conclusion_table(rows),
        regression_table(together),
        variant_table(changed),
    ]
    out.mkdir(parents=True, exist_ok=True)
    write_tables(tables, out)
    write_text(out / "summary.txt", "\n".join(sentences) + "\n")
    return sentences
