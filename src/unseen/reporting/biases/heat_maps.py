"""Heat maps of rank correlations: of biases and groups, and of biases with each other.

Fields of the data: b bias, g group or other bias, v correlation, t its text, sig whether p < .05, after whether that
stays with all tests counted, n networks.
"""

from __future__ import annotations

from collections.abc import Sequence

from unseen.reporting.biases.correlations import BiasPair, Correlation
from unseen.reporting.biases.figure_marks import OWN, drawn, rho_text
from unseen.reporting.biases.networks import BIASES
from unseen.reporting.statistics.claims import SIGNIFICANT
from unseen.reporting.theme import Theme
from unseen.reporting.vega_lite import Spec, marks, tooltip

_CORRELATION = {"domain": [-1, 1], "scheme": "blueorange", "reverse": True}
_SUBSETS = {
    "total": "all networks",
    "AT": "adversarially trained",
    "other": "not adversarially trained",
    OWN: "own networks",
}


def group_heat_map(rows: Sequence[Correlation], theme: Theme) -> Spec:
    """Return the correlations of biases and groups, side by side for each subset."""
    subsets = list(dict.fromkeys(row.subset for row in rows))
    panels = []
    for place, subset in enumerate(subsets):
        of_subset = [row for row in rows if row.subset == subset]
        cells = [
            _cell(row.bias, row.group, row, row.significant_published)
            | {"after": row.p_adjusted < SIGNIFICANT, "q": drawn(row.p_adjusted)}
            for row in of_subset
        ]
        n = max(row.n for row in of_subset)
        panel = _heat_map(
            cells, list(dict.fromkeys(row.group for row in of_subset)), theme, labels=place == 0
        )
        panels.append(panel | {"title": f"{_SUBSETS.get(subset, subset)}, n = {n}"})
    return {"hconcat": panels, "config": theme.config(), "spacing": 16, "padding": 8}


def bias_heat_map(rows: Sequence[BiasPair], theme: Theme) -> Spec:
    """Return the correlations of biases with each other."""
    cells = [
        _cell(row.first, row.second, row, max(row.p, row.p_permutation) < SIGNIFICANT)
        | {"after": True, "q": drawn(row.p_adjusted)}
        for row in rows
        if row.first != row.second
    ]
    names = [BIASES.get(name, name) for name in dict.fromkeys(row.second for row in rows)]
    panel = _heat_map(cells, names, theme, labels=True)
    return panel | {"config": theme.config(), "padding": 8}


def _cell(bias: str, other: str, row: Correlation | BiasPair, significant: bool) -> Spec:
    names = {"b": BIASES.get(bias, bias), "g": BIASES.get(other, other)}
    numbers = {
        "v": drawn(row.spearman),
        "p": drawn(row.p),
        "pp": drawn(row.p_permutation),
        "n": row.n,
    }
    return names | numbers | {"sig": significant, "t": rho_text(row.spearman, significant)}


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
        marks("rect", place | {"color": fill, "tooltip": tip}, cells, stroke=theme.panel, strokeWidth=2),
        marks("text", place | {"text": {"field": "t"}, "color": ink}, cells, fontSize=11),
    ]
    lost = [cell for cell in cells if cell["sig"] and not cell["after"]]
    if lost:  # significant by itself only
        layers.append(
            marks("text", place | {"text": {"value": "†"}, "color": ink}, lost, dx=20, dy=-5, fontSize=10)
        )
    return {"layer": layers, "width": 52 * len(columns), "height": 28 * len({cell["b"] for cell in cells})}
