"""Low- and high-pass curves: accuracy on filtered images over that on clean ones.

Fields of the data: x cutoff, y ratio, c category, m network.
"""

from __future__ import annotations

import math

import numpy as np

from unseen.reporting.biases.figure_marks import (
    OWN_COLOUR,
    category_colours,
    drawn,
    readable,
)
from unseen.reporting.biases.networks import CUTOFFS, Networks
from unseen.reporting.theme import Theme
from unseen.reporting.vega_lite import LEGEND, Spec, marks, number, sized, tooltip


def pass_curves(networks: Networks, kind: str, theme: Theme, own: Networks | None = None) -> Spec:
    """Return accuracy on filtered images over that on clean ones against the cutoff, a line a network.

    Args:
        networks: The background.
        kind: `low_pass` or `high_pass`.
        theme: Where it is drawn.
        own: Networks drawn over them.
    """
    x = number(
        "x",
        f"cutoff, {kind.replace('_', '-')}",
        {"domain": [CUTOFFS[0], CUTOFFS[-1]]},
        values=list(CUTOFFS),
        format=".0%",
    )
    y = number("y", "accuracy / clean accuracy", {"zero": True}, tickCount=5)
    legend = None if theme.on_page else LEGEND | {"columns": 4}
    colour = {"field": "c", "type": "nominal", "scale": category_colours(networks, theme), "legend": legend}
    tip = tooltip(("m", "network"), ("c", "category"), ("x", "cutoff"), ("y", "ratio"))
    line = {"x": x, "y": y, "detail": {"field": "m"}, "tooltip": tip}
    layers = [marks("line", line | {"color": colour}, _curve(networks, kind), strokeWidth=1.1, opacity=0.6)]
    over = _curve(own, kind) if own is not None else []
    if over:
        encoding = line | {"color": {"value": OWN_COLOUR}}
        layers.append(marks("line", encoding, over, strokeWidth=2.5, point=True))
    return sized({"layer": layers}, theme, height=260)


def has_curves(networks: Networks, kind: str) -> bool:
    """Return whether accuracy on filtered images is known of any network."""
    return bool(np.isfinite(networks.pass_curves[kind]).any())


def _curve(networks: Networks, kind: str) -> list[Spec]:
    return [
        {"x": cutoff, "y": drawn(value), "m": name, "c": readable(category)}
        for name, category, values in zip(networks.names, networks.categories, networks.pass_curves[kind], strict=True)
        for cutoff, value in zip(CUTOFFS, values, strict=True)
        if math.isfinite(value)
    ]  # fmt: skip
