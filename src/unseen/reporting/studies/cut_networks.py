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
from unseen.reporting.statistics.claims import Change, with_verdicts
from unseen.reporting.statistics.crossfit import Score, cross_fit
from unseen.reporting.statistics.intervals import DIFFERENCE, Estimate, Floats, complete


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
