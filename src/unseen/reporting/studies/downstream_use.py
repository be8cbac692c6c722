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
from unseen.reporting.number_texts import p_text, signed
from unseen.reporting.statistics.association import RankAgreement, spearman
from unseen.reporting.statistics.best_layer import generalization
from unseen.reporting.statistics.claims import CORRECTED, RULE, SIGNIFICANT, with_verdicts
from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.statistics.units import Units
from unseen.reporting.tables import Cell, Column, Row, Table
from unseen.wording import count, listing

G, ACCURACY = "g", "accuracy on seen classes"
USES = (*(f"few_shot_{shots}" for shots in SHOTS), "cluster_accuracy", "cluster_accuracy_estimated")
COUNT_ERROR = "class_count_error"
LEAST_SPLITS = 4  # two for g, whose layer is chosen on one and scored on the other, and two for the use
_NAMES = {
    "cluster_accuracy": "discovery with C given",
    "cluster_accuracy_estimated": "discovery with C estimated",
}
_SHARED = (
    "g, its layer and accuracy are of every other class split, the use is of the splits between them: other trainings, "
    "with other classes withheld. Shared are what a network starts from, its training seeds, and classes that two "
    "splits may both withhold, with their images."
)


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


# ------------------------------------------------------------------ table, sentences
def predictions_table(name: str, size: str, found: Sequence[DownstreamUse]) -> Table:
    """Return a row for each predictor and use."""
    note = (
        f"Spearman's rank correlation, a point a network; {_SHARED} p: two-sided, by permutation of the networks, and "
        f"{CORRECTED}. Smallest p: what perfect agreement would give; above .05 nothing can "
        "be shown. Detectable: the true correlation that so many networks would find in 80 % of cases. Few-shot: "
        "nearest class mean by so many labelled images a class. Discovery: accuracy of k-means clusters, whose NMI is "
        "g on the other splits. That one predictor is better than another is not tested."
    )
    columns = (
        Column("data"), Column("predictor"), Column("use"), Column("n", hint="networks"), Column("ρ", 2),
        Column("p", probability=True), Column("p (corrected)", probability=True),
        Column("smallest p", probability=True),
        Column("detectable ρ", 2),
    )  # fmt: skip
    rows = []
    for of_data in found:
        for one in of_data.predictions:
            of_ranks = one.found
            cells = (
                of_data.data, one.predictor, use_name(one.use), of_ranks.n, of_ranks.rho, of_ranks.p, one.corrected,
                of_ranks.smallest_p, of_ranks.detectable,
            )  # fmt: skip
            rows.append(Row(cells, mark="best" if one.written else ""))
    return Table(f"study_{name}_{size}", f"Study {name}, {size} size", note, columns, tuple(rows))


def networks_table(name: str, size: str, found: Sequence[DownstreamUse]) -> Table:
    """Return a row for each network: what the correlations are of."""
    uses = [use for use in USES if any(use in one.uses for of_data in found for one in of_data.networks)]
    counted = any(COUNT_ERROR in one.uses for of_data in found for one in of_data.networks)
    columns = (
        Column("data"), Column("network"), Column("g", hint="cross-fitted"), Column("accuracy", hint="on seen classes"),
        Column("layer", hint="of the largest mean NMI"), *(Column(use_name(use)) for use in uses),
        *((Column("C estimated − C", 1, "mean"),) if counted else ()),
    )  # fmt: skip
    rows = []
    for of_data in found:
        for one in of_data.networks:
            layer = f"{one.layer} of 0..{one.last_layer}"
            cells: list[Cell] = [of_data.data, one.label, one.g, one.accuracy, layer]
            cells += [one.uses.get(use) for use in (*uses, *([COUNT_ERROR] if counted else []))]
            rows.append(Row(tuple(cells), one.label, of_data.data))
    note = f"Means over splits and seeds; uses are measured at the layer. {_SHARED}"
    return Table(
        f"study_{name}_{size}_networks", f"Study {name}, {size} size: networks", note, columns, tuple(rows)
    )


def use_name(use: str) -> str:
    """Return what tables and sentences call a use.

    >>> use_name("few_shot_5"), use_name("cluster_accuracy")
    ('5-shot accuracy', 'discovery with C given')
    """
    return _NAMES.get(use) or f"{use.rpartition('_')[2]}-shot accuracy"


def downstream_sentences(found: Sequence[DownstreamUse]) -> list[str]:
    """Return what the networks show; that there is an association is said only where its test passes."""
    return [sentence for of_data in found for sentence in _of_data(of_data)]


def _of_data(found: DownstreamUse) -> list[str]:
    if not found.networks:
        return [
            f"{found.data}: nothing is tested, because its networks share fewer than {LEAST_SPLITS} class splits, two "
            "for g and two for the use."
        ]
    if not found.predictions:
        return [
            f"{found.data}: no use was measured in the runs of every network; probe.few_shot=[1,5,20] and "
            "probe.discovery=true do it."
        ]
    of_g, of_use = found.splits
    where = f"{found.data}, {count(len(found.networks), 'network')}"
    design = f"g and its layer from {count(of_g, 'class split')}, the use of that layer on {count(of_use, 'other')}"
    return [
        f"{where}: {_shown(G, [one for one in found.predictions if one.predictor == G])} ({design}).",
        "Control, with the same layers and splits: "
        f"{_shown(ACCURACY, [one for one in found.predictions if one.predictor == ACCURACY])}. "
        "That one of the two predicts better than the other is not tested.",
    ]


def _shown(predictor: str, tests: Sequence[Prediction]) -> str:
    known = [one for one in tests if one.found.p <= 1]  # not NaN
    if not known:
        return f"whether {predictor} goes with a use is not tested, which takes three networks that differ"
    smallest = min(one.found.smallest_p for one in known)
    if smallest > SIGNIFICANT:
        reached = f"perfect agreement has {p_text(smallest)}"
        return f"so few networks cannot show that {predictor} goes with a use ({reached})"
    shown = [_named(one) for one in known if one.written]
    rest = [_named(one) for one in known if not one.written]
    if not shown:
        none = f"{predictor} is not shown to go with a use ({RULE}; {listing(rest)})"
        return f"{none}, which does not show that it does not"
    others = f"; not shown: {listing(rest)}" if rest else ""
    return f"the rank of {predictor} goes with that of {listing(shown)} ({RULE}){others}"


def _named(one: Prediction) -> str:
    return f"{use_name(one.use)} (ρ = {signed(one.found.rho)}, {p_text(one.corrected)} corrected)"
