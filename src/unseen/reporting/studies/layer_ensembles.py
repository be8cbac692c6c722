"""Whether layers together separate unseen classes better than the best single one, after LEVI (arXiv 2402.04644).

The best single layer is chosen on all class splits but one and read on that one, in turn for each (`crossfit`): the
largest of L measured layers would be above the truth. Which layers an ensemble has is set beforehand, so it has no such
choice. Differences are paired over splits; networks count as given.

Legend: U units (class splits, or seeds), S splits, T seeds, L layers, l of them that count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.reporting.by_key import by_key
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.number_texts import p_text, signed, unsigned, with_interval
from unseen.reporting.statistics.claims import CORRECTED, RULE, with_verdicts
from unseen.reporting.statistics.crossfit import CrossFit, at_best, cross_fit
from unseen.reporting.statistics.intervals import DIFFERENCE, SHARE, Estimate, Floats, estimate
from unseen.reporting.studies.paired_levels import Shared, mean_of
from unseen.reporting.tables import Column, Row, Table
from unseen.scores import ENSEMBLE_PROBE
from unseen.wording import count, listing

LAST_TWO, ALL = "last two layers", "all layers"
_OFFSETS = {LAST_TWO: -2, ALL: 0}  # where the first of its layers is
_MEAN = "mean of the networks"


@dataclass(frozen=True)
class Gain:
    """An ensemble against the best single layer, in one network or in the mean of several."""

    data: str
    network: str  # "" for the mean of all networks
    ensemble: str
    together: Estimate  # NMI of the ensemble
    single: Estimate  # of the best layer, cross-fitted
    difference: Estimate
    above: int  # in so many of the n units the ensemble is above
    p: float  # two-sided; NaN below three units
    scope: str  # what the interval holds over
    design: str  # which units
    corrected: float = math.nan  # for all gains of the study and the parts of the page
    written: bool = False  # whether a sentence may say that it is not zero


def ensemble_gains(configurations: Sequence[Configuration], parts: int = 1) -> tuple[Gain, ...]:
    """Return the gains of both ensembles: of the mean of the networks of each data set, then of each network.

    Networks of one data set are compared on the class splits and seeds that all of them have; below two units, one to
    choose the layer on, there is no gain.
    """
    measured = [config for config in configurations if ("unseen", ENSEMBLE_PROBE) in config.probes]
    by_data = by_key(measured, lambda config: config.data)
    found = [gain for data, members in sorted(by_data.items()) for gain in _on_one(data, members)]
    return tuple(with_verdicts(found, parts))


def _on_one(data: str, configs: Sequence[Configuration]) -> list[Gain]:
    shared = Shared.of(configs, "nmi")
    if not shared.units.cells:
        return []
    gains = []
    for ensemble, offset in _OFFSETS.items():
        together, single, fits = [], [], []
        for config, values, rows in zip(configs, shared.values, shared.rows, strict=True):
            scores = config.layers("unseen", ENSEMBLE_PROBE)[rows, -1]  # (R, L)
            first = max(0, scores.shape[1] - 2) if offset else 0
            together.append(shared.units.arrange(scores[:, first]))
            layers = shared.units.arrange(values[rows])
            single.append(cross_fit(layers, at_best))
            fits.append(cross_fit(np.concatenate([layers, together[-1][..., None]], axis=-1), above_best))
        if len(together[0]) < 2 or not np.isfinite(together).all():
            continue
        where = (shared.units.scope, str(shared.units))
        if len(configs) > 1:
            mean = np.mean(together, axis=0)
            gains.append(_gain((data, "", ensemble), mean, mean_of(single), mean_of(fits), where))
        for config, nmi, best, found in zip(configs, together, single, fits, strict=True):
            gains.append(_gain((data, config.label, ensemble), nmi, best, found, where))
    return gains


def above_best(means: Floats, unit: Floats) -> Floats:
    """Return the unit's last number minus that at the largest mean of the others."""
    return unit[..., -1] - at_best(means[..., :-1], unit[..., :-1])


def _gain(
    named: tuple[str, str, str], together: Floats, single: CrossFit, found: CrossFit, where: tuple[str, str]
) -> Gain:
    above = int((found.scores > 0).sum())
    both = (estimate(together).within(*SHARE), single.estimate.within(*SHARE))
    return Gain(*named, *both, found.estimate.within(*DIFFERENCE), above, found.p, *where)


# ------------------------------------------------------------------ table, sentences
def ensembles_table(name: str, size: str, found: Sequence[Gain]) -> Table:
    """Return a row for each ensemble of each network, and of their mean."""
    note = (
        "NMI of k-means on several layers side by side, each centred and divided by the root of its total variance, "
        "and on the best single layer, as it is, which is chosen on the other units (cross-fitted). Units are class "
        "splits, or seeds, that all networks have [95 % t interval, from three units on]. Differences are paired over "
        f"units; p is two-sided, and {CORRECTED}. Networks count as given."
    )
    columns = (
        Column("data"), Column("network"), Column("layers together"), Column("NMI together", spread=False),
        Column("best single layer", hint="g, cross-fitted", spread=False), Column("together − single", spread=False),
        Column("above", hint="in so many units"), Column("p", probability=True),
        Column("p (corrected)", probability=True),
        Column("runs compared"),
    )  # fmt: skip
    rows = []
    for one in found:
        above = f"{one.above} of {one.difference.n}"
        cells = (
            one.data, one.network or _MEAN, one.ensemble, one.together, one.single, one.difference, above, one.p,
            one.corrected, one.design,
        )  # fmt: skip
        rows.append(Row(cells, one.network, one.data, "" if one.network else "best"))
    return Table(f"study_{name}_{size}", f"Study {name}, {size} size", note, columns, tuple(rows))


def ensemble_sentences(found: Sequence[Gain]) -> list[str]:
    """Return what the networks show; a difference is said only where its test passes."""
    if not found:
        return [
            "Nothing is compared: that takes runs with probe.ensembles=true, on two class splits or seeds that all "
            "networks have, one of them to choose the single layer on."
        ]
    groups = by_key(found, lambda one: (one.data, one.ensemble))
    return [_sentence(*key, gains) for key, gains in groups.items()]


def _sentence(data: str, ensemble: str, gains: Sequence[Gain]) -> str:
    """Return what one ensemble does on one data set."""
    networks = [one for one in gains if one.network]
    overall = next((one for one in gains if not one.network), networks[0])
    who = f"the mean of {count(len(networks), 'network')}" if len(networks) > 1 else networks[0].network
    text = f"{data}, {ensemble} together against the best single layer of the other units, {who}: {_shown(overall)}"
    if len(networks) > 1 and not math.isnan(overall.p):
        shown = [
            f"{one.network} ({'higher' if one.difference.mean > 0 else 'lower'} by {signed(abs(one.difference.mean))})"
            for one in networks
            if one.written
        ]
        text += (
            f"; of single networks it is shown in {listing(shown)}"
            if shown
            else "; in no single network it is"
        )
    return f"{text}. Over {overall.design}; intervals hold for {overall.scope}."


def _shown(one: Gain) -> str:
    if math.isnan(one.p):
        return f"NMI differs by {with_interval(one.difference)}, which takes three units to test"
    if one.written:
        word = "higher" if one.difference.mean > 0 else "lower"
        return f"NMI is {word} by {with_interval(unsigned(one.difference))}, {p_text(one.corrected)} corrected ({RULE})"
    tested = f"{with_interval(one.difference)}, {p_text(one.corrected)} corrected"
    return f"no difference of NMI is shown ({tested}; {RULE}), which does not show that there is none"
