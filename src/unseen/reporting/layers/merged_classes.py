"""Which unseen classes merge: how often an image's nearest neighbour has another class, and which.

Legend: n images, D features, C classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.layers.analysis import Analysis
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.embeddings import names_of_classes, read_embeddings
from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.tables import Column, Row, Table

_MOST_RUNS = 15  # of a configuration; reading one takes some hundredths of a second
_MOST_CONFIGURATIONS = 12
_MOST_ROWS = 20  # classes of a configuration


def neighbour_classes(embeddings: Floats, labels: NDArray[np.int64]) -> Floats:
    """Return (C, C) shares of each class's images whose nearest other image (Euclidean) has each class.

    Args:
        embeddings: (n, D), n of at least 2.
        labels: (n,) classes 0..C-1; the row of one without images is NaN.
    """
    centred = embeddings - embeddings.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * centred @ centred.T
    np.fill_diagonal(distances, np.inf)
    counts = np.zeros((labels.max() + 1,) * 2)
    np.add.at(counts, (labels, labels[distances.argmin(axis=1)]), 1)
    with np.errstate(invalid="ignore"):
        shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def merged_classes(analysis: Analysis) -> Table:
    """Return each unseen class of the runs that saved embeddings, those with fewest hits first."""
    rows: list[Row] = []
    for config in analysis.configurations[:_MOST_CONFIGURATIONS]:
        found = _mean_shares(config)
        for own, (runs, hit, other, share) in sorted(found.items(), key=lambda item: item[1][1])[:_MOST_ROWS]:
            cells = (config.label, config.where, config.size, own, runs, hit, other, share)
            rows.append(Row(cells, config.model, config.data))
    return Table(
        "merged_classes",
        "Which unseen classes merge",
        "Share of a class's images whose nearest other image has the same class (NN@1), and the other class that it "
        "most often has instead; means over the runs that have the class, at each run's best layer, on at most 450 "
        "saved images, equally many of each class. Descriptive: no test.",
        (
            Column("network"), Column("data"), Column("size"), Column("unseen class"), Column("runs"),
            Column("NN@1", 2), Column("most confused with"), Column("share", 2, "of the class's images"),
        ),
        tuple(rows),
    )  # fmt: skip


def _mean_shares(config: Configuration) -> dict[str, tuple[int, float, str, float]]:
    """Return for each class: in how many runs it is, its hits, the class most confused with, and its share."""
    of_pairs: dict[str, dict[str, list[float]]] = {}
    for run in [run for run in config.runs if run.embeddings][:_MOST_RUNS]:
        layer = config.g.best_layer if run.facts.best_layer is None else run.facts.best_layer
        assert run.embeddings is not None
        try:
            saved = read_embeddings(run.embeddings, [layer])
        except (OSError, ValueError):
            continue  # the section of the pictures says what is wrong with it
        if layer not in saved.layers or len(saved.labels) < 2:
            continue
        names = names_of_classes(run, int(saved.labels.max()) + 1)
        for own, shares in zip(names, neighbour_classes(saved.layers[layer], saved.labels), strict=True):
            for other, share in zip(names, shares.tolist(), strict=True):
                if not np.isnan(share):
                    of_pairs.setdefault(own, {}).setdefault(other, []).append(share)
    found = {}
    for own, others in of_pairs.items():
        means = {name: float(np.mean(shares)) for name, shares in others.items()}
        hit = means.pop(own)
        other = max(means, key=lambda name: means[name], default="")
        found[own] = (len(others[own]), hit, other or "–", means.get(other, 0.0))
    return found
