"""The tables of a correlation study, whose columns are the fields of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from unseen.reporting.biases.conclusions import Conclusion, Variant
from unseen.reporting.biases.correlations import BiasPair, Correlation
from unseen.reporting.biases.networks import Networks
from unseen.reporting.biases.regressions import Regression
from unseen.reporting.tables import Cell, Column, Row, Table

_HINTS = {
    "spearman": "rank correlation, average ranks for ties",
    "p": "two-sided, t approximation",
    "n": "networks",
    "low": "95 % interval, Fisher's z with the standard error of Bonett and Wright",
    "high": "95 % interval, Fisher's z with the standard error of Bonett and Wright",
    "p_adjusted": "Benjamini–Hochberg over the subset",
    "partial": "rank correlation given ID accuracy",
    "dcor_p": "by permutation",
    "p_permutation": "of spearman, by permutation; the one to read with few networks",
    "r2": "in sample",
    "shuffled_high": "95 % of the shuffles lie below",
    "turns": "what makes a printed 0 significant, or turns the sign",
}


def correlation_table(rows: Sequence[Correlation]) -> Table:
    """Return correlations.csv: each bias against each group of benchmarks."""
    return _table(
        "correlations",
        "Biases and groups of benchmarks",
        "Spearman's rank correlation over networks. p: t approximation, as published; significant_published: p < .05. "
        "Adjusted p-values: Benjamini–Hochberg within a subset. partial: given ID accuracy. Networks are taken as "
        "independent draws. Of own networks, which are few, significance and adjusted p are by permutation.",
        rows,
        Correlation,
    )


def bias_table(rows: Sequence[BiasPair]) -> Table:
    """Return bias_correlations.csv: each bias against each other."""
    return _table(
        "bias_correlations",
        "Biases and each other",
        "Spearman's rank correlation over all networks, as above. Adjusted over the different pairs.",
        rows,
        BiasPair,
    )


def variant_table(rows: Sequence[Variant]) -> Table:
    """Return variants.csv: the correlations in each variant of the data."""
    return _table(
        "variants",
        "With the defects of the data left out",
        "ReaL holds the accuracy of its last batch alone; adversarial accuracy counts 48 images that were never "
        "attacked as withstood. Subsets total and other are the study with and without adversarially trained networks.",
        rows,
        Variant,
    )


def regression_table(rows: Sequence[Regression]) -> Table:
    """Return regressions.csv: all biases together."""
    return _table(
        "regressions",
        "All biases together",
        "R² of each group's accuracy by all biases: in sample, and on networks left out (below 0: worse than the "
        "mean); beside it what biases shuffled over the networks reach.",
        rows,
        Regression,
    )


def conclusion_table(rows: Sequence[Conclusion]) -> Table:
    """Return conclusions.csv: what becomes of each published number."""
    return _table(
        "conclusions",
        "What stays of the published numbers",
        "published: as printed, 0 where p ≥ .05. stays_adjusted: Benjamini–Hochberg within the subset; stays_given_id: "
        "partial correlation with the same sign, Benjamini–Hochberg; may_be_written: Holm over all 72, .10. An empty "
        "cell: the paper prints 0, or the question has no sense.",
        rows,
        Conclusion,
    )


def network_table(networks: Networks) -> Table:
    """Return networks.csv: what is known of each network."""
    columns = {**networks.biases, **networks.groups}
    rows = [
        Row((name, category, *(float(values[at]) for values in columns.values())))
        for at, (name, category) in enumerate(zip(networks.names, networks.categories, strict=True))
    ]
    headings = tuple(Column(name) for name in ("model", "category", *columns))
    note = "Biases, and accuracies in percent."
    return Table("networks", "The networks", note, headings, tuple(rows))


def _table(name: str, title: str, note: str, rows: Sequence[Any], kind: type) -> Table:
    names = [field.name for field in fields(kind)]
    columns = tuple(Column(of, hint=_HINTS.get(of, ""), probability=_is_p(of)) for of in names)
    cells = [Row(tuple(_cell(getattr(row, of)) for of in names)) for row in rows]
    return Table(name, title, note, columns, tuple(cells))


def _is_p(name: str) -> bool:
    return name == "p" or name.startswith("p_") or "_p_" in name or name.endswith("_p")


def _cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value  # type: ignore[no-any-return]  # the fields are texts and numbers
