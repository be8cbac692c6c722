"""Whether a curve over layers turns: an inner layer above, or below, both the first and the last one.

Legend: U units, n of them complete, S class splits, T seeds, L layers. Units are independent replicates, as in
`intervals`; a table (S, T, L) of splits and seeds has the splits as units, and the test holds over both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.statistics.crossfit import CrossFit, cross_fit
from unseen.reporting.statistics.intervals import FEWEST, Floats, complete


@dataclass(frozen=True)
class Turning:
    """The clearest peak or valley of a curve over layers."""

    kind: str  # "peak", "valley" or "" where it cannot be judged: fewer than three layers or units
    layer: int  # where, in the mean over units; -1 where it cannot be judged
    height: float  # above (below) the first or the last layer, whichever is nearer; layer chosen on the other units
    departure: (
        float  # largest distance of the mean from the nearest monotone curve; above zero by chance, too
    )
    p: float  # of any monotone curve, rising or falling
    n: int


def turning(values: Floats) -> Turning:
    """Test whether the true curve is not monotone.

    A peak needs its layer above the first *and* above the last: the larger of two one-sided p counts
    (intersection-union, Berger 1982), so that the level holds for every rising, falling or flat curve. The layer is
    chosen on the other units (`crossfit`), and p is doubled for that choice, as that of a lead is (`best_layer.lead`),
    and once more because peak and valley are both tried. A curve that goes up and down but stays between its two ends
    is not found.

    Args:
        values: (U, L) or (S, T, L), NaN where undefined.
    """
    used = complete(values)
    units, n = used.of_units, len(used.units)
    if n < FEWEST or len(used.layers) < 3:
        return Turning("", -1, math.nan, _departure(units), math.nan, n)
    peak, valley = _sides(used.values), _sides(-used.values)
    p_peak, p_valley = (max(side.p_above for side in sides) for sides in (peak, valley))
    upward = p_peak <= p_valley
    sides, mean = (peak if upward else valley), units.mean(axis=0)
    layer = _inner(mean if upward else -mean)
    return Turning(
        kind="peak" if upward else "valley",
        layer=int(used.layers[layer]),
        height=min(side.mean for side in sides),
        departure=_departure(units),
        p=min(1.0, 4 * min(p_peak, p_valley)),
        n=n,
    )


def _inner(means: Floats) -> NDArray[np.intp]:
    """Return (...,) the inner layer that is highest above both ends, which is the largest of the inner ones."""
    return np.asarray(means[..., 1:-1].argmax(axis=-1) + 1)


def _sides(values: Floats) -> tuple[CrossFit, CrossFit]:
    """Return how far the inner layer that the other units choose is above the first and above the last."""

    def above(end: int, means: Floats, unit: Floats) -> Floats:
        layer = np.expand_dims(_inner(means), -1)
        return np.take_along_axis(unit, layer, axis=-1)[..., 0] - unit[..., end]

    first = cross_fit(values, lambda means, unit: above(0, means, unit))
    return first, cross_fit(values, lambda means, unit: above(-1, means, unit))


def _departure(values: Floats) -> float:
    """Return the largest distance of the mean curve from the nearest rising or falling one, by isotonic regression."""
    from scipy.optimize import isotonic_regression

    if not values.size:
        return math.nan
    mean = values.mean(axis=0)
    fits = [isotonic_regression(mean, increasing=rising).x for rising in (True, False)]
    return min(float(np.abs(mean - fit).max()) for fit in fits)
