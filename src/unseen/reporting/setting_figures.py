"""Figures of a setting as Vega-Lite specifications: plain dictionaries that open in any Vega editor, too.

A figure for the page (look PAGE) is as wide as its place and has parameters: `probe` chooses the probe, `shown` the
networks. A figure for a file (look FILES) is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unseen.probe_table import HEADINGS
from unseen.reporting.analysis import Setting
from unseen.reporting.figure_parts import NUMBERS, Spec, number_row, short, sized, tips, where_there_are
from unseen.reporting.looks import Look
from unseen.reporting.probe_facts import references
from unseen.reporting.statistics import estimates
from unseen.scores import SPLITS

_SPLIT_SHAPES = {"domain": list(SPLITS), "range": ["circle", "square"]}
_SPLIT_DASHES = {"domain": list(SPLITS), "range": [[1, 0], [5, 3]]}
_KIND_DASHES = {"domain": ["chance", "ceiling", "pixels"], "range": [[1, 3], [8, 3, 2, 3], [4, 2]]}
_MOST_CELLS_WITH_TEXT = 8  # columns


def layer_curves(setting: Setting, look: Look, *, probe: str = "nmi") -> Spec:
    """Return the scores over the layers at the last step, with intervals, chance, ceiling and raw pixels."""
    probes = list(HEADINGS) if look.on_page else [probe]
    rows = [row for split in SPLITS for name in probes for row in _curve_rows(setting, split, name)]
    levels, paths = _reference_rows(setting, probes)
    last = setting.last_layer
    x = {
        "field": "l",
        "type": "quantitative",
        "title": "layer",
        "scale": {"domain": [0, max(last, 1)], "nice": False, "padding": 8},
        "axis": {"values": list(range(0, last + 1, 1 + last // 14)), "format": "d", "grid": False},
    }
    y = {
        "field": "v",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 5},
    }
    colour = {
        "field": "s",
        "type": "nominal",
        "scale": {"domain": list(SPLITS), "range": [look.unseen, look.seen]},
        "legend": None if look.on_page else {"title": "classes", "orient": "bottom"},
    }
    kind = {"field": "k", "type": "nominal", "scale": _KIND_DASHES, "legend": None}
    chosen = [{"filter": "datum.p == probe"}] if look.on_page else []
    band = {
        "transform": [*chosen, {"filter": "isValid(datum.lo)"}],
        "mark": {"type": "area", "opacity": 0.2},
        "encoding": {"x": x, "y": y | {"field": "lo"}, "y2": {"field": "hi"}, "color": colour},
    }
    level_tip = tips(("k", "level"), ("s", "classes"), ("v", "value"), ("how", "which is"))
    layers = [
        {
            "data": {"values": levels},
            "transform": chosen,
            "mark": {"type": "rule", "strokeWidth": 1.2, "opacity": 0.75},
            "encoding": {"y": y, "color": colour, "strokeDash": kind, "tooltip": level_tip},
        },
        {
            "data": {"values": paths},
            "transform": chosen,
            "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.75},
            "encoding": {"x": x, "y": y, "color": colour, "strokeDash": kind, "tooltip": level_tip},
        },
        *where_there_are(band, rows, "lo"),
        {
            "transform": chosen,
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour,
                "strokeDash": {"field": "s", "scale": _SPLIT_DASHES, "legend": None},
            },
        },
        {
            "transform": chosen,
            "mark": {"type": "point", "filled": True, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour,
                "shape": {"field": "s", "scale": _SPLIT_SHAPES, "legend": None},
                "size": {"condition": {"test": "datum.best", "value": 150}, "value": 32},
                "tooltip": tips(
                    ("l", "layer"), ("name", "name"), ("depth", "depth"), ("s", "classes"), ("v", "mean"),
                    ("lo", "95 % from"), ("hi", "95 % to"), ("sd", "std"), ("n", "runs"),
                ),
            },
        },
    ]  # fmt: skip
    spec = sized(
        {"data": {"values": rows}, "layer": layers, "resolve": {"scale": {"strokeDash": "independent"}}}, look
    )
    if look.on_page:
        spec["params"] = [{"name": "probe", "value": probe}]
    return spec


def _curve_rows(setting: Setting, split: str, probe: str) -> list[Spec]:
    group = setting.group
    if (split, probe) not in group.probes:
        return []
    found = setting.scores(split, probe)
    best = -1
    if split == "unseen" and np.isfinite(found.mean).any():
        best = setting.g.best_layer if probe == "nmi" else int(np.nanargmax(found.mean))
    return [
        number_row(found.at(layer))
        | {
            "l": layer,
            "name": group.layer_names[layer],
            "depth": short(group.depths[layer]),
            "s": split,
            "p": probe,
        }
        | ({"best": True} if layer == best else {})
        for layer in range(len(group.layer_names))
        if found.n[layer]
    ]


def _reference_rows(setting: Setting, probes: Sequence[str]) -> tuple[list[Spec], list[Spec]]:
    levels, paths = [], []
    for split in SPLITS:
        for probe in probes:
            for level in references(setting.group, split, probe):
                row = {"s": split, "p": probe, "k": level.kind, "how": level.meaning}
                if len(level.values) == 1:
                    levels.append(row | {"v": short(level.values[0])})
                else:
                    paths += [row | {"l": at, "v": short(value)} for at, value in enumerate(level.values)]
    return levels, paths


def heat_map(setting: Setting, look: Look, *, top: float) -> Spec:
    """Return the unseen NMI of every layer at every step.

    Args:
        setting: Whose.
        look: For the page or a file.
        top: Upper end of the colours, shared by the figures of a data set.
    """
    group = setting.group
    nmi = group.layers("unseen", "nmi")  # (R, T, L)
    rows = []
    for place, step in enumerate(group.steps):
        found = estimates(nmi[:, place])
        rows += [
            number_row(found.at(layer)) | {"l": layer, "name": group.layer_names[layer], "step": int(step)}
            for layer in range(len(group.layer_names))
            if found.n[layer]
        ]
    x = {
        "field": "step",
        "type": "ordinal",
        "title": "training step",
        "axis": {"labelAngle": 0, "labelOverlap": True},
    }
    y = {"field": "l", "type": "ordinal", "sort": "descending", "title": "layer"}
    colour = {
        "field": "v",
        "type": "quantitative",
        "title": "NMI",
        "scale": {"scheme": "viridis", "domain": [0, top]},
        "legend": {"gradientThickness": 10, "tickCount": 4},
    }
    hover = tips(("l", "layer"), ("name", "name"), ("step", "step"), *NUMBERS)
    layers: list[Spec] = [{"mark": "rect", "encoding": {"x": x, "y": y, "color": colour, "tooltip": hover}}]
    if len(group.steps) <= _MOST_CELLS_WITH_TEXT:
        letters = {"condition": {"test": f"datum.v > {0.6 * top}", "value": "#111111"}, "value": "#ffffff"}
        layers.append(
            {
                "mark": {"type": "text", "fontSize": 10},
                "encoding": {"x": x, "y": y, "text": {"field": "v", "format": ".2f"}, "color": letters},
            }
        )
    return sized(
        {"data": {"values": rows}, "layer": layers}, look, height=max(100, 20 * len(group.layer_names))
    )


def scatter(points: Sequence[Spec], classes: Sequence[str], look: Look) -> Spec:
    """Return a picture of embeddings: rows with x, y and their class c."""
    bare = {"type": "quantitative", "axis": None, "scale": {"zero": False}}
    legend = {"orient": "bottom", "columns": 3, "title": None, "symbolOpacity": 1}
    encoding = {
        "x": bare | {"field": "x"},
        "y": bare | {"field": "y"},
        "color": {"field": "c", "type": "nominal", "scale": look.scale(classes), "legend": legend},
        "shape": {"field": "c", "type": "nominal", "scale": look.shape_scale(classes), "legend": legend},
        "tooltip": tips(("c", "class")),
    }
    mark = {"type": "point", "filled": True, "size": 18, "opacity": 0.7}
    return sized({"data": {"values": list(points)}, "mark": mark, "encoding": encoding}, look, height=220)


def side_by_side(
    titled: Sequence[tuple[str, Spec]], look: Look, *, title: str, explained: str, columns: int = 3
) -> Spec:
    """Return several figures as one for a file, each under its title, all under one with an explanation."""
    parts = [
        {key: value for key, value in spec.items() if key != "config"} | {"title": name}
        for name, spec in titled
    ]
    heading = {"text": title, "subtitle": explained, "fontSize": 15, "subtitleFontSize": 12, "offset": 12}
    return {
        "title": heading,
        "concat": parts,
        "columns": columns,
        "config": look.config(),
        "spacing": 24,
        "padding": 12,
    }
