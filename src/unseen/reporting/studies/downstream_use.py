"""Whether g tells which network will be good at a use: rank correlation over networks (arXiv 2405.01524, question 1).

A use is few-shot accuracy or category discovery on unseen classes, at the layer that g chose. On one training and one
choice of classes a use and g would share their luck. So every other class split of the study gives g and the layer, and
the splits between them give the use. Taking turns, and averaging, would put the luck of each half into both again. A
network is a point, whatever the number of its runs.

Legend: U units (class splits), S splits, T seeds, L layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseen.probe_table import SHOTS
from unseen.reporting.by_key import by_key
from unseen.reporting.layers.configuration import Configuration, shared_units
from unseen.reporting.statistics.association import RankAgreement, spearman
from unseen.reporting.statistics.best_layer import generalization
from unseen.reporting.statistics.claims import with_verdicts
from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.statistics.units import Units

G, ACCURACY = "g", "accuracy on seen classes"
USES = (*(f"few_shot_{shots}" for shots in SHOTS), "cluster_accuracy", "cluster_accuracy_estimated")
COUNT_ERROR = "class_count_error"
LEAST_SPLITS = 4  # two for g, whose layer is chosen on one and scored on the other, and two for the use


@dataclass(frozen=True)
class Network:
    """One network, a point."""

    label: str
    g: float  # cross-fitted, over one half of the splits
    accuracy: float  # over the same half
    layer: int  # that has the largest mean NMI there
    last_layer: int
    uses: dict[str, float]  # at this layer, over the other half; and COUNT_ERROR where it was measured


@dataclass(frozen=True)
class Prediction:
    """A predictor against a use."""

    predictor: str
    use: str
    found: RankAgreement
    corrected: float = math.nan  # for all of the study and the parts of the page
    written: bool = False  # whether a sentence may say that there is an association

    @property
    def p(self) -> float:
        """That of the rank correlation."""
        return self.found.p


@dataclass(frozen=True)
class DownstreamUse:
    """The networks on one data set."""

    data: str
    splits: tuple[int, int]  # class splits of each half; (0, 0) where they are too few
    networks: tuple[Network, ...]
    predictions: tuple[Prediction, ...]


def downstream_uses(configurations: Sequence[Configuration], parts: int = 1) -> tuple[DownstreamUse, ...]:
    """Return for each data set what g predicts; all p are corrected together.

    Args:
        configurations: One for each network and data set.
        parts: Of the page, which share its errors (`claims`).
    """
    by_data = by_key(configurations, lambda config: config.data)
    found = [_on_one(data, members) for data, members in sorted(by_data.items())]
    judged = iter(with_verdicts([one for of_data in found for one in of_data.predictions], parts))
    return tuple(
        replace(of_data, predictions=tuple(next(judged) for _ in of_data.predictions)) for of_data in found
    )


def _on_one(data: str, configs: Sequence[Configuration]) -> DownstreamUse:
    units = shared_units(configs)
    if units.over != "splits" or len(units.units) < LEAST_SPLITS:
        return DownstreamUse(data, (0, 0), (), ())
    measured = [name for name in USES if all(("unseen", name) in one.probes for one in configs)]
    networks = tuple(_network(config, units, [*measured, COUNT_ERROR]) for config in configs)
    predictors = {G: [one.g for one in networks], ACCURACY: [one.accuracy for one in networks]}
    predictions = tuple(
        Prediction(name, use, spearman(values, [one.uses[use] for one in networks]))
        for name, values in predictors.items()
        for use in measured
    )
    of_g, of_use = halves(np.zeros(len(units.units)))
    return DownstreamUse(data, (len(of_g), len(of_use)), networks, predictions)


def halves(units: Floats) -> tuple[Floats, Floats]:
    """Return the units (U, ...) that give g, and those that give the use: every other one."""
    return units[::2], units[1::2]


def g_and_layer(nmi: Floats) -> tuple[float, int]:
    """Return the cross-fitted g of units (U, L) or (S, T, L), and the layer of the largest mean."""
    found = generalization(nmi)
    assert found is not None
    return found.score.mean, found.best_layer


def _network(config: Configuration, units: Units, names: Sequence[str]) -> Network:
    rows = config.rows_of(units.cells)

    def half(values: Floats, number: int) -> Floats:
        return halves(units.arrange(values[rows]))[number]

    g, layer = g_and_layer(half(config.compared_nmi, 0))
    uses = {
        name: float(half(config.layers("unseen", name)[:, -1, layer], 1).mean())
        for name in names
        if ("unseen", name) in config.probes
    }
    accuracy = float(half(config.accuracies[:, -1], 0).mean())
    return Network(config.label, g, accuracy, layer, config.last_layer, uses)
