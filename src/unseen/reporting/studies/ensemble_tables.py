"""Layers together against the best single one: the table of the study, and its sentences as far as the tests allow."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unseen.reporting.by_key import by_key
from unseen.reporting.number_texts import p_text, signed, unsigned, with_interval
from unseen.reporting.statistics.claims import CORRECTED, RULE
from unseen.reporting.studies.layer_ensembles import Gain
from unseen.reporting.tables import Column, Row, Table
from unseen.wording import count, listing

_MEAN = "mean of the networks"


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
