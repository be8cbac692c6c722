"""Networks cut after their best layer: the table of the study, and its sentences as far as the tests allow."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unseen.reporting.number_texts import p_text, unsigned, with_interval
from unseen.reporting.statistics.claims import CORRECTED, RULE, Change
from unseen.reporting.studies.cut_networks import Cut
from unseen.reporting.tables import Column, Row, Table
from unseen.reporting.texts import printable

_LONGEST = 120  # characters of a device's name


def cuts_table(name: str, size: str, found: Sequence[Cut]) -> Table:
    """Return a row for each network."""
    note = (
        "Each network is cut after the layer with the largest mean NMI of the unseen classes on all other units (class "
        "splits, or seeds), in turn for each unit [95 % t interval, from three units on]. Best layer: in the mean of "
        "all, and in how many units. Kept: share of the whole network's parameters, head included, and of the time of "
        "a forward pass until the layer has ended, the median of passes before training. Changes are against the last "
        f"layer, paired over units; p is two-sided, and {CORRECTED}. Linear probe: "
        "trained on four fifths of the seen test images, so its accuracy is not to be compared with the head's, which "
        "was trained on the training images. Nothing is said about other networks."
    )
    columns = (
        Column("data"), Column("network"), Column("best layer"), Column("parameters kept", 2),
        Column("time kept", 2), Column("NMI − last layer", spread=False), Column("p (NMI)", probability=True),
        Column("p (NMI, corrected)", probability=True), Column("linear probe at last layer"),
        Column("linear probe − last layer", spread=False), Column("p (probe)", probability=True),
        Column("p (probe, corrected)", probability=True), Column("accuracy of the head", spread=False),
        Column("timed with"),
    )  # fmt: skip
    rows = []
    for one in found:
        config, nmi, probe = one.config, one.nmi, one.probe
        cells = (
            config.where, config.label, _layer(one), one.parameters, one.time, nmi.value, nmi.p, nmi.corrected,
            one.probe_at_last, probe.value, probe.p, probe.corrected, config.accuracy,
            printable(one.timed, _LONGEST) or None,
        )  # fmt: skip
        rows.append(Row(cells, config.model, config.data))
    return Table(f"study_{name}_{size}", f"Study {name}, {size} size", note, columns, tuple(rows))


def _layer(one: Cut) -> str:
    g = one.config.g
    return f"{g.best_layer} of 0..{one.config.last_layer} (in {g.wins[g.best_layer]} of {g.plain.n})"


def cut_sentences(found: Sequence[Cut]) -> list[str]:
    """Return what a cut keeps and changes in each network; a change is said only where its test passes."""
    if not found:
        return ["Nothing is compared: a network takes two class splits or seeds, one to choose the layer on."]
    rule = f"Changes are written as shown where {RULE}; that none is shown does not mean that there is none."
    return [*(_of_network(one) for one in found), rule]


def _of_network(one: Cut) -> str:
    config = one.config
    where = f"{config.label} on {config.where}, cut after the best layer of the other {config.units.noun}"
    most = f"over all of them layer {_layer(one)}"
    kept = "what that keeps was not measured (probe.layer_costs=true)"
    if not math.isnan(one.parameters):
        kept = (
            f"it keeps {one.parameters:.0%} of the parameters and {one.time:.0%} of the time of a forward pass "
            f"({printable(one.timed, _LONGEST)})"
        )
    changes = f"{_change('NMI of unseen classes', one.nmi)}; {_change('the linear probe on seen classes', one.probe)}"
    return f"{where} ({most}): {kept}; against the last layer, {changes}."


def _change(what: str, change: Change) -> str:
    if math.isnan(change.value.mean):
        return f"{what} was not measured at every layer"
    if math.isnan(change.p):
        return f"{what} differs by {with_interval(change.value)}, which takes three units to test"
    if not change.written:
        tested = f"{with_interval(change.value)}, {p_text(change.corrected)} corrected"
        return f"no change of {what} is shown ({tested})"
    size = with_interval(unsigned(change.value))
    return f"{what} is {'higher' if change.value.mean > 0 else 'lower'} by {size}, {p_text(change.corrected)} corrected"
