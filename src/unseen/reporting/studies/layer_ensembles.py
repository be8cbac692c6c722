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
from unseen.reporting.statistics.claims import with_verdicts
from unseen.reporting.statistics.crossfit import CrossFit, at_best, cross_fit
from unseen.reporting.statistics.intervals import DIFFERENCE, SHARE, Estimate, Floats, estimate
from unseen.reporting.studies.paired_levels import Shared, mean_of
from unseen.scores import ENSEMBLE_PROBE

LAST_TWO, ALL = "last two layers", "all layers"
_OFFSETS = {LAST_TWO: -2, ALL: 0}  # where the first of its layers is


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
