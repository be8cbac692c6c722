"""The report's section on biases: values of own networks, and where they lie among the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unseen.reporting.biases.correlations import correlate, correlate_subsets
from unseen.reporting.biases.figure_marks import OWN, category_colours
from unseen.reporting.biases.networks import BIASES, Networks, published_networks
from unseen.reporting.biases.own_networks import bias_values, own_networks
from unseen.reporting.biases.own_study import by_permutation, measured, own_words
from unseen.reporting.biases.rank_correlation import FEWEST
from unseen.reporting.biases.scatter_panels import rhos_of, scatter
from unseen.reporting.biases.study_folder import OVERLAY_NOTE, SCATTER_NOTE, SOURCE
from unseen.reporting.biases.study_tables import correlation_table
from unseen.reporting.tables import Column, Row, Table
from unseen.reporting.theme import PAGE
from unseen.reporting.vega_lite import Spec
from unseen.wording import count, listing


@dataclass(frozen=True)
class BiasSection:
    """What the page shows.

    Attributes:
        title: Heading.
        sentences: What the values can say.
        note: Above the panels.
        tables: `bias_values`, and `own_correlations` (without rows for fewer than four networks).
        panels: For each bias its heading, and names of figures with their labels.
        categories: Names and colours of the published networks.
        specs: The figures by their names.
    """

    title: str
    sentences: Sequence[str]
    note: str
    tables: Mapping[str, Table]
    panels: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    categories: Sequence[tuple[str, str]]
    specs: Mapping[str, Spec]


def bias_section(folders: Sequence[Path]) -> BiasSection | None:
    """Return the section on the finished runs of `biases.py` in these folders, None without any."""
    if not folders:
        return None
    own, published = own_networks(folders), published_networks()
    correlations, sentences = _correlations(own)
    rows = correlate_subsets(published)
    specs: dict[str, Spec] = {}
    panels = []
    for bias in published.biases:
        if bias not in own.biases or not np.isfinite(own.biases[bias]).any():
            continue
        of_bias = []
        for group in published.groups:
            name = f"bias-{bias}-{group}"
            specs[name] = scatter(published, bias, group, rhos_of(rows, bias, group), PAGE, own)
            of_bias.append((name, f"{BIASES[bias]} against {group}"))
        panels.append((BIASES[bias], of_bias))
    colours = category_colours(published, PAGE)
    return BiasSection(
        "Biases",
        sentences,
        f"{SCATTER_NOTE}{OVERLAY_NOTE} {SOURCE}" if panels else "",
        {table.name: table for table in (_values(folders), correlations)},
        panels,
        list(zip(colours["domain"], colours["range"], strict=True)) if panels else [],
        specs,
    )


def _correlations(own: Networks) -> tuple[Table, list[str]]:
    """Return the table of correlations over own networks, and what it shows."""
    try:
        networks = measured(own)
        rows = by_permutation(correlate(networks, OWN))
    except ValueError:  # too few networks, or no four of them have the same
        few = (
            f"{count(len(own), 'network')}: {listing(own.names)}. A correlation over networks needs {FEWEST} that have "
            "both a bias and an accuracy."
        )
        return replace(correlation_table([]), name="own_correlations"), [few]
    title = "Biases and accuracies of these networks"
    return replace(correlation_table(rows), name="own_correlations", title=title), own_words(networks, rows)


def _values(folders: Sequence[Path]) -> Table:
    columns = (
        Column("network"), Column("images"), Column("measure"), Column("value"), Column("low", hint="95 % interval"),
        Column("high", hint="95 % interval"), Column("n", hint="images"),
    )  # fmt: skip
    rows = tuple(Row(cells) for cells in bias_values(folders))
    note = "Values of biases.py, with 95 % intervals over images; what each means is in docs/biases.md."
    return Table("bias_values", "Biases and accuracies", note, columns, rows)
