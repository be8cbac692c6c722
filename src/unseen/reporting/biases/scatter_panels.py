"""Scatter panels: a bias against the accuracy of a group, own networks over the published ones.

Fields of the data: x bias, y accuracy, c category, m network, a attack of adversarial training, k its norm (L2, Linf or
none), s area of the mark.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from unseen.reporting.biases.correlations import Correlation
from unseen.reporting.biases.figure_marks import (
    OWN,
    OWN_COLOUR,
    category_colours,
    drawn,
    ordered_categories,
    readable,
    rho_text,
)
from unseen.reporting.biases.networks import BIASES, Networks
from unseen.reporting.theme import FILES, PAGE, Theme
from unseen.reporting.vega_lite import LEGEND, Spec, marks, number, sized, tooltip, without_config

MARKS_NOTE = (
    "A mark a network. Adversarial training: circle L2, square Linf, larger with the strength of the attack."
)
RHO_NOTE = " ρ: Spearman, in brackets where p ≥ .05."
_ATTACK = re.compile(r"_(l2|linf)_eps([0-9.]+)$")  # of the published names
_AREA = 90.0  # square pixels of a mark of size 1
_SMALLEST_AREA = 14.0
_PLAIN_AREA = 26.0
_MOST_NAMED = 8  # points with their names beside them
_SKEWED = "high_freq_bias"  # from .001 to .1


def attack_of(name: str) -> tuple[str, float] | None:
    """Return norm (L2 or Linf) and strength of the training attack of a published network, None without one.

    >>> attack_of("robust_resnet50_linf_eps0.5"), attack_of("tv_resnet50")
    (('Linf', 0.5), None)
    """
    found = _ATTACK.search(name)
    return ({"l2": "L2", "linf": "Linf"}[found[1]], float(found[2])) if found else None


def scatter(
    networks: Networks,
    bias: str,
    group: str,
    rhos: Mapping[str, Correlation],
    theme: Theme,
    own: Networks | None = None,
) -> Spec:
    """Return one bias against one group, a mark a network; a square: Linf, larger with the strength of the attack.

    Args:
        networks: The background.
        bias: Its key in `networks.biases`.
        group: Its key in `networks.groups`.
        rhos: The correlations of the title, by subset.
        theme: Where it is drawn.
        own: Networks drawn over them; one without this group is a vertical line at its bias.
    """
    scale = {"zero": False, "nice": True, "padding": 6}
    logarithmic = _is_logarithmic(bias, networks, own)
    ticks = {"values": [0.002, 0.01, 0.05, 0.2]} if logarithmic else {"tickCount": 4}
    of_bias = {"type": "log", "padding": 6, "nice": False} if logarithmic else scale
    x = number("x", BIASES.get(bias, bias).split(": ")[-1], of_bias, **ticks)
    y = number("y", _accuracy(group), scale, tickCount=4)
    colour = {"field": "c", "type": "nominal", "scale": category_colours(networks, theme), "legend": None}
    shape = {
        "field": "k",
        "type": "nominal",
        "scale": {"domain": ["none", "L2", "Linf"], "range": ["circle", "circle", "square"]},
        "legend": None,
    }
    size = {"field": "s", "type": "quantitative", "scale": None, "legend": None}
    tip = tooltip(("m", "network"), ("c", "category"), ("x", "bias"), ("y", "accuracy"), ("a", "attack"))
    point = {"x": x, "y": y, "color": colour, "shape": shape, "size": size, "tooltip": tip}
    rows = _points(networks, bias, group)
    layers = [marks("point", point, rows, filled=True, opacity=0.8)]
    if len(networks) <= _MOST_NAMED:
        text = {"x": x, "y": y, "text": {"field": "m"}, "color": {"value": theme.faint}}
        layers.append(marks("text", text, rows, dy=-9, fontSize=10, limit=120))
    if own is not None and bias in own.biases:
        layers += _overlay(own, bias, group, x, y)
    title = {"text": group, "subtitle": _rho_text(rhos), "subtitleColor": theme.faint}
    return sized({"title": title, "layer": layers}, theme, height=170)


def _points(networks: Networks, bias: str, group: str) -> list[Spec]:
    rows: list[Spec] = []
    order = ordered_categories(networks)
    for at in sorted(range(len(networks)), key=lambda at: order.index(networks.categories[at])):
        x, y = float(networks.biases[bias][at]), float(networks.groups[group][at])
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        name, category = networks.names[at], networks.categories[at]
        attack = attack_of(name)
        area = max(_SMALLEST_AREA, _AREA * (attack[1] + 1) / 5) if attack else _PLAIN_AREA
        told = (
            f"{attack[0]}, eps {attack[1]:g}" + ("/255" if attack[0] == "Linf" else "") if attack else "none"
        )
        row = {
            "x": drawn(x),
            "y": drawn(y),
            "c": readable(category),
            "m": name,
            "s": drawn(area),
        }
        rows.append(row | {"k": attack[0] if attack else "none", "a": told})
    return rows


def _is_logarithmic(bias: str, *networks: Networks | None) -> bool:
    """Return whether a bias spans powers of ten, and none of its values is 0."""
    values = [of.biases[bias] for of in networks if of is not None and bias in of.biases]
    return bias == _SKEWED and all((of[np.isfinite(of)] > 0).all() for of in values)


def _overlay(own: Networks, bias: str, group: str, x: Spec, y: Spec) -> list[Spec]:
    known: list[Spec] = []
    lines: list[Spec] = []
    accuracies = own.groups.get(group)
    for at, name in enumerate(own.names):
        value = float(own.biases[bias][at])
        accuracy = math.nan if accuracies is None else float(accuracies[at])
        if math.isfinite(value) and math.isfinite(accuracy):
            known.append({"x": drawn(value), "y": drawn(accuracy), "m": name})
        elif math.isfinite(value):
            lines.append({"x": drawn(value), "m": name})
    layers = []
    if lines:
        tip = tooltip(("m", "network"), ("x", "bias"))
        encoding = {"x": x, "color": {"value": OWN_COLOUR}, "tooltip": tip}
        layers.append(marks("rule", encoding, lines, strokeWidth=1.5, strokeDash=[4, 3]))
    if known:
        tip = tooltip(("m", "network"), ("x", "bias"), ("y", "accuracy"))
        place = {"x": x, "y": y, "color": {"value": OWN_COLOUR}, "tooltip": tip}
        layers.append(marks("point", place, known, shape="diamond", size=120, strokeWidth=2.5, filled=False))
        label = place | {"text": {"field": "m"}}
        layers.append(marks("text", label, known, dy=-12, fontSize=10, limit=120))
    return layers


def _rho_text(rhos: Mapping[str, Correlation]) -> str:
    if not rhos:
        return ""
    return "ρ " + " · ".join(
        f"{'' if subset in {'total', OWN} else subset + ' '}{rho_text(row.spearman, row.significant_published)}"
        for subset, row in rhos.items()
    )


def scatter_grid(networks: Networks, rows: Sequence[Correlation], own: Networks | None = None) -> Spec:
    """Return all panels as one figure for a file: a row a bias, a column a group."""
    panels = [
        scatter(networks, bias, group, rhos_of(rows, bias, group), FILES, own)
        for bias in networks.biases
        for group in networks.groups
    ]
    for panel in panels:  # all have the same legend, so that one is drawn
        panel["layer"][0]["encoding"]["color"]["legend"] = LEGEND | {"columns": 7}
    bare = [without_config(panel) | {"width": 200} for panel in panels]
    subtitle = MARKS_NOTE + RHO_NOTE * bool(rows) + " Pink: one's own networks." * (own is not None)
    heading = {"text": "Biases and accuracy", "subtitle": subtitle, "fontSize": 15, "offset": 12}
    layout = {"columns": len(networks.groups), "spacing": 18, "padding": 12}
    return {"title": heading, "concat": bare, "config": FILES.config()} | layout


def scatter_rows(
    networks: Networks, rows: Sequence[Correlation], own: Networks | None = None, prefix: str = "scatter"
) -> tuple[dict[str, Spec], list[tuple[str, list[tuple[str, str]]]]]:
    """Return all panels for a page by name, and for each bias its heading with the names and labels of its panels."""
    specs: dict[str, Spec] = {}
    headed = []
    for bias in networks.biases:
        heading, panels = BIASES.get(bias, bias), []
        for group in networks.groups:
            name = f"{prefix}-{len(specs)}"
            specs[name] = scatter(networks, bias, group, rhos_of(rows, bias, group), PAGE, own)
            panels.append((name, f"{heading} against {group}"))
        headed.append((heading, panels))
    return specs, headed


def rhos_of(rows: Sequence[Correlation], bias: str, group: str) -> dict[str, Correlation]:
    """Return the correlations of a bias and a group by subset."""
    return {row.subset: row for row in rows if (row.bias, row.group) == (bias, group)}


def _accuracy(group: str) -> str:
    return f"{group}, % correct" if group != "g" else "g"
