"""What is kept and what is lost where a network is cut after its best layer.

The layer is chosen on all class splits but one, by the mean NMI of the unseen classes, and read on that one, in turn
for each (`crossfit`): parameters and time that are kept, and, against the last layer, NMI and the accuracy of a linear
probe on seen classes. Nothing is said about other networks.

Legend: R runs, U units (class splits, or seeds), S splits, T seeds, L layers, l of them that count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.number_texts import p_text, unsigned, with_interval
from unseen.reporting.statistics.claims import CORRECTED, RULE, Change, with_verdicts
from unseen.reporting.statistics.crossfit import Score, cross_fit
from unseen.reporting.statistics.intervals import DIFFERENCE, Estimate, Floats, complete
from unseen.reporting.tables import Column, Row, Table
from unseen.reporting.texts import printable

_LONGEST = 120  # characters of a device's name


@dataclass(frozen=True)
class Cut:
    """One network, cut after the layer that the other units choose."""

    config: Configuration
    parameters: float  # share of the whole network's that is kept, mean over units; NaN where not measured
    time: float  # share of the time of a forward pass
    timed: str  # on what, "" where not measured
    nmi: Change  # of the unseen classes, at the layer of the cut minus that at the last layer
    probe: Change  # accuracy of a linear probe on seen classes, in the same way
    probe_at_last: float  # its mean at the last layer


def cuts(configurations: Sequence[Configuration], parts: int = 1) -> tuple[Cut, ...]:
    """Return what a cut does to each network that has two units or more; all p are corrected together."""
    found = [_cut(config) for config in configurations if config.g.plain.n > 1]
    judged = iter(with_verdicts([change for one in found for change in (one.nmi, one.probe)], parts))
    return tuple(replace(one, nmi=next(judged), probe=next(judged)) for one in found)


def _cut(config: Configuration) -> Cut:
    probe = config.layers("seen", "linear_probe")[:, -1]
    parameters, time = _shares(config)
    nmi = config.units.arrange(config.compared_nmi)
    of_probe, at_cut = (_read(config, nmi, probe, less_last=change) for change in (True, False))
    return Cut(
        config,
        _mean(config, nmi, parameters),
        _mean(config, nmi, time),
        _timed(config),
        _read(config, nmi, config.compared_nmi, less_last=True),
        of_probe,
        at_cut.value.mean - of_probe.value.mean,
    )


def _mean(config: Configuration, nmi: Floats, values: Floats) -> float:
    return _read(config, nmi, values, less_last=False).value.mean


def _read(config: Configuration, nmi: Floats, values: Floats, *, less_last: bool) -> Change:
    """Return (R, L) values at the layer that other units choose by their NMI, less those at the last layer.

    `nmi` is (U, L) or (S, T, L), with gaps for layers and units that do not count.
    """
    whole = complete(nmi)
    read = config.units.arrange(values)[whole.units][..., whole.layers]
    if read.ndim == 3:
        read = read[:, whole.seeds]
    if not np.isfinite(read).all():
        return Change(Estimate(), math.nan)
    found = cross_fit(np.concatenate([whole.values, read], axis=-1), chosen_of_pair(less_last=less_last))
    return Change(found.estimate.within(*DIFFERENCE), found.p)


def chosen_of_pair(*, less_last: bool) -> Score:
    """Return what scores a run by the second half of its numbers, at the place of the largest mean of the first."""

    def score(means: Floats, unit: Floats) -> Floats:
        layers = means.shape[-1] // 2
        chosen = means[..., :layers].argmax(axis=-1, keepdims=True)
        values = np.take_along_axis(unit[..., layers:], chosen, axis=-1)[..., 0]
        return values - unit[..., -1] if less_last else values

    return score


def _shares(config: Configuration) -> tuple[Floats, Floats]:
    """Return the shares (R, L) of parameters and of time that a cut after each layer keeps; NaN where not measured."""
    shape = (len(config.runs), len(config.layer_names))
    parameters, time = np.full(shape, np.nan), np.full(shape, np.nan)
    for row, run in enumerate(config.runs):
        costs = run.facts.layer_costs
        if costs and len(costs.parameters) == len(costs.milliseconds) == shape[1]:
            parameters[row] = np.array(costs.parameters) / costs.all_parameters
            time[row] = np.array(costs.milliseconds) / costs.all_milliseconds
    return parameters, time


def _timed(config: Configuration) -> str:
    """Return on what the runs were timed."""
    of_runs = (run.facts.layer_costs for run in config.runs)
    texts = (
        f"{costs.batch} images of {costs.image_size} pixels, {costs.device}" for costs in of_runs if costs
    )
    return "; ".join(dict.fromkeys(texts))


# ------------------------------------------------------------------ table, sentences
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
