"""The best layer of a network: g, which layers may be the best, and its lead over the last layer.

Legend: U units, n of them complete, S class splits, T seeds, L layers. Units are independent replicates, as in
`intervals`; a table (S, T, L) of splits and seeds has the splits as units, and its intervals and tests hold over both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.statistics.crossfit import at_best, cross_fit
from unseen.reporting.statistics.intervals import (
    CONFIDENCE,
    FEWEST,
    Estimate,
    Floats,
    complete,
    is_spread,
    mean_with_error,
)


@dataclass(frozen=True, eq=False)
class Generalization:
    """The generalization index g, as the papers define it and without the gain from choosing the layer."""

    plain: Estimate  # mean over units, then the largest layer (arXiv 2405.01524); no interval: it is above the truth
    cross_fitted: Estimate  # layer chosen on the other units; this one is compared between networks
    best_layer: int  # of plain; the shallowest where several tie
    wins: NDArray[np.int64]  # (L,) in how many units each layer is the largest; ties go to the shallowest
    candidates: NDArray[np.bool_]  # (L,) layers that cannot be excluded as the best

    def within(self, least: float, most: float) -> Generalization:
        """Return it with an interval that ends where the scores do (`Estimate.within`)."""
        return replace(self, cross_fitted=self.cross_fitted.within(least, most))

    @property
    def score(self) -> Estimate:
        """The one to compare: cross-fitted; of a single unit, which leaves no other to choose on, plain."""
        return self.cross_fitted if self.plain.n > 1 else self.plain


def generalization(nmi: Floats) -> Generalization | None:
    """Return g from the (U, L) or (S, T, L) NMI of the unseen classes; None where no unit is complete."""
    used = complete(nmi)
    if not used.values.size:
        return None
    units = used.of_units
    means = units.mean(axis=0)
    best, n = int(means.argmax()), len(units)
    std = float(units[:, best].std(ddof=1)) if n > 1 else math.nan
    wins = np.bincount(used.layers[units.argmax(axis=1)], minlength=nmi.shape[-1])
    return Generalization(
        plain=Estimate(float(means[best]), std, n=n),
        cross_fitted=cross_fit(used.values, at_best).estimate,
        best_layer=int(used.layers[best]),
        wins=wins,
        candidates=best_layers(nmi),
    )


def best_layers(nmi: Floats) -> NDArray[np.bool_]:
    """Return which of L layers cannot be excluded as the best; the truly best is among them with 95 % or more.

    Multiple comparisons with the best (Hsu 1981), by paired t: a layer is excluded where another lies above it with a
    one-sided p of .05 / (L - 1) or less (Bonferroni), which holds however layers depend on each other. Below three
    units none is excluded. Layers that do not count (see `complete`) are False.

    Args:
        nmi: (U, L) or (S, T, L), NaN where undefined.
    """
    used = complete(nmi)
    values, n, layers = used.values, len(used.units), len(used.layers)
    kept = np.zeros(nmi.shape[-1], dtype=bool)
    kept[used.layers] = n > 0
    if n < FEWEST or layers == 1:
        return kept
    lead = values[..., :, None] - values[..., None, :]  # (..., l, l): the first above the second
    mean, error = mean_with_error(lead.reshape(*values.shape[:-1], -1))
    above = (mean > error.reach(1 - (1 - CONFIDENCE) / (layers - 1))) & is_spread(error.total, mean)
    kept[used.layers] = ~above.reshape(layers, layers).any(axis=0)
    return kept


@dataclass(frozen=True)
class Lead:
    """How far the best layer lies above the last one."""

    nmi: Estimate  # the layer is chosen on the other units; zero in a unit where the last layer is chosen
    p: float  # of no layer being above the last; below .05 where the interval is above zero. NaN below three units
    by_chance: float  # how often the best layer is not the last where all L are equal: (L - 1) / L


def lead(nmi: Floats) -> Lead:
    """Return the lead of the best layer over the last of those that count, and its test.

    The one-sided p is doubled. Two layers may deviate from the last in opposite directions, and then one of them is
    above it whatever the sign: the choice of a layer makes the test two-sided.

    Args:
        nmi: (U, L) or (S, T, L), NaN where undefined.
    """
    values = complete(nmi).values
    if not values.size:
        return Lead(Estimate(), math.nan, math.nan)
    found = cross_fit(values, lambda means, unit: at_best(means, unit) - unit[..., -1])
    layers = values.shape[-1]
    if layers == 1:
        return Lead(found.estimate, math.nan, 0.0)
    p = float(np.minimum(1.0, 2 * found.p_above))  # NaN stays NaN
    return Lead(found.estimate, p, (layers - 1) / layers)
