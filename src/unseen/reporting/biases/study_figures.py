"""The figures of a correlation study as Vega-Lite specifications, with own networks over the published ones.

Fields of the data: x bias, y accuracy, c category, m network, a attack of adversarial training, k its norm (L2, Linf or
none), s area of the mark; v correlation, t text of a cell, sig whether p < .05.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from unseen.reporting.biases.correlations import BiasPair, Correlation
from unseen.reporting.biases.networks import BIASES, CUTOFFS, Networks
from unseen.reporting.claims import SIGNIFICANT
from unseen.reporting.theme import Theme
from unseen.reporting.vega_lite import Spec, marks, number, sized, tooltip

OWN = "own"
_ATTACK = re.compile(r"_(l2|linf)_eps([0-9.]+)$")  # of the published names
_AREA = 90.0  # square pixels of a mark of size 1
_SMALLEST_AREA = 14.0
_PLAIN_AREA = 26.0
_MOST_NAMED = 8  # points with their names beside them
_LEGEND = {"title": None, "orient": "bottom", "symbolOpacity": 1}
_OWN_COLOUR = "#d1006c"  # none of the categories has it
_SKEWED = "high_freq_bias"  # from .001 to .1
_CORRELATION = {"domain": [-1, 1], "scheme": "blueorange", "reverse": True}
SUBSETS = {
    "total": "all networks",
    "AT": "adversarially trained",
    "other": "not adversarially trained",
    OWN: "own networks",
}


def attack_of(name: str) -> tuple[str, float] | None:
    """Return norm (L2 or Linf) and strength of the training attack of a published network, None without one.

    >>> attack_of("robust_resnet50_linf_eps0.5"), attack_of("tv_resnet50")
    (('Linf', 0.5), None)
    """
    found = _ATTACK.search(name)
    return ({"l2": "L2", "linf": "Linf"}[found[1]], float(found[2])) if found else None


def category_colours(networks: Networks, theme: Theme) -> Spec:
    """Return the scale of the categories' colours, the baseline in ink."""
    names = _ordered_categories(networks)
    scale = theme.colours([_readable(name) for name in names])
    scale["range"] = [
        theme.ink if name == "baseline" else colour
        for name, colour in zip(names, scale["range"], strict=True)
    ]
    return scale


def _ordered_categories(networks: Networks) -> list[str]:
    """Return the categories, the baseline last: it is drawn over the others."""
    return sorted(set(networks.categories), key=lambda name: (name == "baseline", name))


def _readable(category: str) -> str:
    return category.replace("_", " ")


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
    order = _ordered_categories(networks)
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
        row = {"x": _short(x), "y": _short(y), "c": _readable(category), "m": name, "s": _short(area)}
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
            known.append({"x": _short(value), "y": _short(accuracy), "m": name})
        elif math.isfinite(value):
            lines.append({"x": _short(value), "m": name})
    layers = []
    if lines:
        tip = tooltip(("m", "network"), ("x", "bias"))
        encoding = {"x": x, "color": {"value": _OWN_COLOUR}, "tooltip": tip}
        layers.append(marks("rule", encoding, lines, strokeWidth=1.5, strokeDash=[4, 3]))
    if known:
        tip = tooltip(("m", "network"), ("x", "bias"), ("y", "accuracy"))
        place = {"x": x, "y": y, "color": {"value": _OWN_COLOUR}, "tooltip": tip}
        layers.append(marks("point", place, known, shape="diamond", size=120, strokeWidth=2.5, filled=False))
        label = place | {"text": {"field": "m"}}
        layers.append(marks("text", label, known, dy=-12, fontSize=10, limit=120))
    return layers


def _rho_text(rhos: Mapping[str, Correlation]) -> str:
    return "ρ " + " · ".join(
        f"{'' if subset in {'total', OWN} else subset + ' '}{_cell_text(row.spearman, row.significant_published)}"
        for subset, row in rhos.items()
    )


def scatter_grid(
    networks: Networks, rows: Sequence[Correlation], theme: Theme, own: Networks | None = None
) -> Spec:
    """Return all panels as one figure for a file: a row a bias, a column a group."""
    panels = [
        scatter(networks, bias, group, rhos_of(rows, bias, group), theme, own)
        for bias in networks.biases
        for group in networks.groups
    ]
    for panel in panels:  # all have the same legend, so that one is drawn
        panel["layer"][0]["encoding"]["color"]["legend"] = _LEGEND | {"columns": 7}
    bare = [
        {key: value for key, value in panel.items() if key != "config"} | {"width": 200} for panel in panels
    ]
    subtitle = (
        "a mark a network; adversarial training: circle L2, square Linf, larger with eps; "
        "ρ: Spearman, all networks (AT, other), in brackets where p ≥ .05"
    )
    heading = {"text": "Biases and generalization", "subtitle": subtitle, "fontSize": 15, "offset": 12}
    layout = {"columns": len(networks.groups), "spacing": 18, "padding": 12}
    return {"title": heading, "concat": bare, "config": theme.config()} | layout


def rhos_of(rows: Sequence[Correlation], bias: str, group: str) -> dict[str, Correlation]:
    """Return the correlations of a bias and a group by subset."""
    return {row.subset: row for row in rows if (row.bias, row.group) == (bias, group)}


def group_heat_map(rows: Sequence[Correlation], theme: Theme) -> Spec:
    """Return the correlations of biases and groups, side by side for each subset."""
    subsets = list(dict.fromkeys(row.subset for row in rows))
    panels = []
    for place, subset in enumerate(subsets):
        of_subset = [row for row in rows if row.subset == subset]
        cells = [
            _cell(row.bias, row.group, row, row.significant_published)
            | {"after": row.p_adjusted < SIGNIFICANT, "q": _short(row.p_adjusted)}
            for row in of_subset
        ]
        n = max(row.n for row in of_subset)
        panel = _heat_map(
            cells, list(dict.fromkeys(row.group for row in of_subset)), theme, labels=place == 0
        )
        panels.append(panel | {"title": f"{SUBSETS.get(subset, subset)}, n = {n}"})
    return {"hconcat": panels, "config": theme.config(), "spacing": 16, "padding": 8}


def bias_heat_map(rows: Sequence[BiasPair], theme: Theme) -> Spec:
    """Return the correlations of biases with each other."""
    cells = [
        _cell(row.first, row.second, row, max(row.p, row.p_permutation) < SIGNIFICANT)
        | {"after": True, "q": _short(row.p_adjusted)}
        for row in rows
        if row.first != row.second
    ]
    names = [BIASES.get(name, name) for name in dict.fromkeys(row.second for row in rows)]
    panel = _heat_map(cells, names, theme, labels=True)
    return panel | {"config": theme.config(), "padding": 8}


def _cell(bias: str, other: str, row: Correlation | BiasPair, significant: bool) -> Spec:
    names = {"b": BIASES.get(bias, bias), "g": BIASES.get(other, other)}
    numbers = {"v": _short(row.spearman), "p": _short(row.p), "pp": _short(row.p_permutation), "n": row.n}
    return names | numbers | {"sig": significant, "t": _cell_text(row.spearman, significant)}


def _cell_text(rho: float, significant: bool) -> str:
    if math.isnan(rho):
        return "–"
    text = f"{round(rho, 2) + 0.0:.2f}".replace("-", "−").replace("0.", ".", 1)  # + 0.0: zero has no sign
    return text if significant else f"({text})"


def _heat_map(cells: Sequence[Spec], columns: Sequence[str], theme: Theme, *, labels: bool) -> Spec:
    """Return coloured cells with their numbers; a cell with p >= .05 has no colour and its number in brackets."""
    x: Spec = {"field": "g", "type": "nominal", "sort": list(columns), "title": None}
    x["axis"] = {"labelAngle": -35, "labelLimit": 220, "domain": False, "ticks": False}
    y: Spec = {"field": "b", "type": "nominal", "sort": None, "title": None}
    y["axis"] = {"labelLimit": 240, "domain": False, "ticks": False} if labels else None
    legend = {"title": "ρ", "gradientThickness": 10}
    colour: Spec = {"field": "v", "type": "quantitative", "scale": _CORRELATION, "legend": legend}
    tip = tooltip(
        ("b", "bias"),
        ("g", "with"),
        ("v", "Spearman"),
        ("p", "p"),
        ("pp", "p, permutation"),
        ("q", "p adjusted"),
        ("n", "networks"),
    )
    fill = {"condition": {"test": "datum.sig"} | colour, "value": theme.line}
    place = {"x": x, "y": y}
    ink = {
        "condition": [
            {"test": "!datum.sig", "value": theme.faint},
            {"test": "abs(datum.v) > 0.7", "value": "#ffffff"},
        ],
        "value": "#111111",
    }
    layers = [
        marks("rect", place | {"color": fill, "tooltip": tip}, cells, stroke=_paper(theme), strokeWidth=2),
        marks("text", place | {"text": {"field": "t"}, "color": ink}, cells, fontSize=11),
    ]
    lost = [cell for cell in cells if cell["sig"] and not cell["after"]]
    if lost:  # significant by itself only
        layers.append(
            marks("text", place | {"text": {"value": "†"}, "color": ink}, lost, dx=20, dy=-5, fontSize=10)
        )
    return {"layer": layers, "width": 52 * len(columns), "height": 28 * len({cell["b"] for cell in cells})}


def _paper(theme: Theme) -> str:
    return "var(--panel)" if theme.on_page else theme.background


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
    legend = None if theme.on_page else _LEGEND | {"columns": 4}
    colour = {"field": "c", "type": "nominal", "scale": category_colours(networks, theme), "legend": legend}
    tip = tooltip(("m", "network"), ("c", "category"), ("x", "cutoff"), ("y", "ratio"))
    line = {"x": x, "y": y, "detail": {"field": "m"}, "tooltip": tip}
    layers = [marks("line", line | {"color": colour}, _curve(networks, kind), strokeWidth=1.1, opacity=0.6)]
    over = _curve(own, kind) if own is not None else []
    if over:
        encoding = line | {"color": {"value": _OWN_COLOUR}}
        layers.append(marks("line", encoding, over, strokeWidth=2.5, point=True))
    return sized({"layer": layers}, theme, height=260)


def has_curves(networks: Networks, kind: str) -> bool:
    """Return whether accuracy on filtered images is known of any network."""
    return bool(np.isfinite(networks.pass_curves[kind]).any())


def _curve(networks: Networks, kind: str) -> list[Spec]:
    return [
        {"x": cutoff, "y": _short(value), "m": name, "c": _readable(category)}
        for name, category, values in zip(networks.names, networks.categories, networks.pass_curves[kind], strict=True)
        for cutoff, value in zip(CUTOFFS, values, strict=True)
        if math.isfinite(value)
    ]  # fmt: skip


def _accuracy(group: str) -> str:
    return f"{group}, % correct" if group != "g" else "g"


def _short(value: float) -> float | None:
    """Return a number with five significant digits, None for NaN."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
