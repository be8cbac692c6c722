"""The figures as Vega-Lite specifications: plain dictionaries that open in any Vega editor, too.

A figure for the page (look PAGE) is as wide as its place and has parameters: `probe` chooses the probe, `shown` the
networks. A figure for a file (look FILES) is fixed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unseen.reporting.analysis import Contest, Setting
from unseen.reporting.looks import Look
from unseen.reporting.probe_facts import HEADINGS, destroyed_images, references
from unseen.reporting.statistics import Estimate, estimates
from unseen.scores import SPLITS

Spec = dict[str, Any]
_SPLIT_SHAPES = {"domain": list(SPLITS), "range": ["circle", "square"]}
_SPLIT_DASHES = {"domain": list(SPLITS), "range": [[1, 0], [5, 3]]}
_KIND_DASHES = {"domain": ["chance", "ceiling", "pixels"], "range": [[1, 3], [8, 3, 2, 3], [4, 2]]}
_SHOWN = "!isArray(shown) || indexof(shown, datum.model) >= 0"
_MOST_LINES = 16  # more cannot be told apart
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
        "axis": {"tickMinStep": 1, "format": "d", "grid": False, "tickCount": min(last + 1, 14)},
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
    level_tip = _tips(("k", "level"), ("s", "classes"), ("v", "value"), ("how", "which is"))
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
        {
            "transform": [*chosen, {"filter": "isValid(datum.lo)"}],
            "mark": {"type": "area", "opacity": 0.2},
            "encoding": {"x": x, "y": y | {"field": "lo"}, "y2": {"field": "hi"}, "color": colour},
        },
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
                "tooltip": _tips(
                    ("l", "layer"), ("name", "name"), ("depth", "depth"), ("s", "classes"), ("v", "mean"),
                    ("lo", "95 % from"), ("hi", "95 % to"), ("sd", "std"), ("n", "runs"),
                ),
            },
        },
    ]  # fmt: skip
    spec = _sized(
        {"data": {"values": rows}, "layer": layers, "resolve": {"scale": {"strokeDash": "independent"}}}, look
    )
    if look.on_page:
        spec["params"] = [{"name": "probe", "value": probe}]
    return spec


def _curve_rows(setting: Setting, split: str, probe: str) -> list[Spec]:
    group = setting.group
    if (split, probe) not in group.probes:
        return []
    found = estimates(group.layers(split, probe)[:, -1])
    best = -1
    if split == "unseen" and np.isfinite(found.mean).any():
        best = setting.g.best_layer if probe == "nmi" else int(np.nanargmax(found.mean))
    return [
        _row(found.at(layer))
        | {
            "l": layer,
            "name": group.layer_names[layer],
            "depth": _short(group.depths[layer]),
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
                    levels.append(row | {"v": _short(level.values[0])})
                else:
                    paths += [row | {"l": at, "v": _short(value)} for at, value in enumerate(level.values)]
    return levels, paths


def over_steps(contest: Contest, look: Look, *, what: str) -> Spec:
    """Return g (what="g") or seen accuracy (what="accuracy") over the training steps, a line a setting."""
    rows = []
    for setting in contest.settings[:_MOST_LINES]:
        found = setting.g_of_steps if what == "g" else setting.accuracy_of_steps
        rows += [
            _row(found.at(place))
            | {"step": int(step), "label": setting.group.label, "model": setting.group.model}
            for place, step in enumerate(setting.group.steps)
            if found.n[place]
        ]
    colour, shape = _by_label(contest, look)
    x = {
        "field": "step",
        "type": "quantitative",
        "title": "training step",
        "axis": {"grid": False, "tickCount": 6},
    }
    y = {
        "field": "v",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 5},
    }
    place = {"x": x, "y": y, "color": colour}
    layers: list[Spec] = [
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": place},
        {
            "transform": [{"filter": "isValid(datum.lo)"}],
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.6},
            "encoding": {"x": x, "y": y | {"field": "lo"}, "y2": {"field": "hi"}, "color": colour},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
            "encoding": place
            | {"shape": shape, "tooltip": _tips(("label", "network"), ("step", "step"), *_NUMBERS)},
        },
    ]
    return _filtered({"data": {"values": rows}, "layer": layers}, look)


def accuracy_and_g(contest: Contest, look: Look) -> Spec:
    """Return seen accuracy against g: a large mark a setting, a small one a run."""
    means, runs = [], []
    for setting in contest.settings:
        name = {"label": setting.group.label, "model": setting.group.model}
        nmi = setting.group.layers("unseen", "nmi")[:, -1, setting.g.best_layer]
        if setting.accuracy.n:
            means.append(
                name
                | {
                    "a": _short(setting.accuracy.mean),
                    "v": _short(setting.g.of_mean.mean),
                    "n": setting.g.of_mean.n,
                }
            )
        runs += [
            name | {"a": _short(accuracy), "v": _short(value), "seed": seed}
            for accuracy, value, seed in zip(
                setting.group.accuracy[:, -1], nmi, setting.group.seeds, strict=True
            )
            if math.isfinite(accuracy) and math.isfinite(value)
        ]
    colour, shape = _by_label(contest, look, legend=False)
    axis = {
        "type": "quantitative",
        "scale": {"zero": False, "padding": 24, "nice": True},
        "axis": {"tickCount": 5},
    }
    place = {
        "x": axis | {"field": "a", "title": "accuracy on seen classes"},
        "y": axis | {"field": "v", "title": "g (unseen classes)"},
        "color": colour,
    }
    layers: list[Spec] = [
        {
            "data": {"values": runs},
            "mark": {"type": "point", "filled": True, "size": 22, "opacity": 0.45},
            "encoding": place
            | {
                "tooltip": _tips(
                    ("label", "network"), ("seed", "seed"), ("a", "accuracy"), ("v", "NMI, best layer")
                )
            },
        },
        {
            "data": {"values": means},
            "mark": {"type": "point", "filled": True, "size": 130, "opacity": 1},
            "encoding": place
            | {
                "shape": shape,
                "tooltip": _tips(("label", "network"), ("a", "accuracy"), ("v", "g"), ("n", "runs")),
            },
        },
    ]
    if len(means) <= _MOST_LINES:
        text = {"type": "text", "dy": -13, "fontSize": 11, "limit": 140, "fill": look.ink}
        layers.append(
            {"data": {"values": means}, "mark": text, "encoding": place | {"text": {"field": "label"}}}
        )
    return _filtered({"layer": layers}, look, height=280)


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
            _row(found.at(layer)) | {"l": layer, "name": group.layer_names[layer], "step": int(step)}
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
    tips = _tips(("l", "layer"), ("name", "name"), ("step", "step"), *_NUMBERS)
    layers: list[Spec] = [{"mark": "rect", "encoding": {"x": x, "y": y, "color": colour, "tooltip": tips}}]
    if len(group.steps) <= _MOST_CELLS_WITH_TEXT:
        letters = {"condition": {"test": f"datum.v > {0.6 * top}", "value": "#111111"}, "value": "#ffffff"}
        layers.append(
            {
                "mark": {"type": "text", "fontSize": 10},
                "encoding": {"x": x, "y": y, "text": {"field": "v", "format": ".2f"}, "color": letters},
            }
        )
    return _sized(
        {"data": {"values": rows}, "layer": layers}, look, height=max(100, 20 * len(group.layer_names))
    )


def destroyed(contest: Contest, look: Look) -> Spec | None:
    """Return the unseen NMI of each setting's best layer on images destroyed by noise; None where nobody measured."""
    rows = []
    for setting in contest.settings[:_MOST_LINES]:
        name = {"label": setting.group.label, "model": setting.group.model}
        levels = destroyed_images(setting.group)
        if levels:
            rows.append(name | {"level": 0.0, "v": _short(setting.g.of_mean.mean)})
        rows += [
            name | {"level": level, "v": _short(values[setting.g.best_layer])} for level, values in levels
        ]
    if not rows:
        return None
    colour, shape = _by_label(contest, look)
    encoding = {
        "x": {
            "field": "level",
            "type": "quantitative",
            "title": "noise in the images",
            "axis": {"grid": False},
        },
        "y": {"field": "v", "type": "quantitative", "title": "NMI", "scale": {"domain": [0, 1]}},
        "color": colour,
        "tooltip": _tips(("label", "network"), ("level", "noise"), ("v", "NMI")),
    }
    layers = [
        {"mark": "line", "encoding": encoding},
        {"mark": {"type": "point", "filled": True, "size": 45}, "encoding": encoding | {"shape": shape}},
    ]
    return _filtered({"data": {"values": rows}, "layer": layers}, look)


def scatter(points: Sequence[Spec], classes: Sequence[str], look: Look) -> Spec:
    """Return a picture of embeddings: rows with x, y and their class c."""
    bare = {"type": "quantitative", "axis": None, "scale": {"zero": False}}
    legend = {"orient": "bottom", "columns": 3, "title": None, "symbolOpacity": 1}
    encoding = {
        "x": bare | {"field": "x"},
        "y": bare | {"field": "y"},
        "color": {"field": "c", "type": "nominal", "scale": look.scale(classes), "legend": legend},
        "shape": {"field": "c", "type": "nominal", "scale": look.shape_scale(classes), "legend": legend},
        "tooltip": _tips(("c", "class")),
    }
    mark = {"type": "point", "filled": True, "size": 18, "opacity": 0.7}
    return _sized({"data": {"values": list(points)}, "mark": mark, "encoding": encoding}, look, height=220)


def side_by_side(titled: Sequence[tuple[str, Spec]], look: Look, *, columns: int = 3) -> Spec:
    """Return several figures as one, each under its title, for a file."""
    parts = [
        {key: value for key, value in spec.items() if key != "config"} | {"title": title}
        for title, spec in titled
    ]
    return {"concat": parts, "columns": columns, "config": look.config(), "spacing": 24}


_NUMBERS = (("v", "mean"), ("lo", "95 % from"), ("hi", "95 % to"), ("sd", "std"), ("n", "runs"))


def _row(found: Estimate) -> Spec:
    row: Spec = {"v": _short(found.mean), "n": found.n}
    if math.isfinite(found.low):
        row |= {"lo": _short(found.low), "hi": _short(found.high), "sd": _short(found.std)}
    return row


def _short(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def _tips(*fields: tuple[str, str]) -> list[Spec]:
    return [{"field": field, "title": title} for field, title in fields]


def _by_label(contest: Contest, look: Look, *, legend: bool = True) -> tuple[Spec, Spec]:
    """Return colour and shape of the settings; a network has the same in every figure of its data set."""
    labels = sorted(setting.group.label for setting in contest.settings[:_MOST_LINES])
    shown = {"orient": "bottom", "columns": 2, "title": None, "symbolOpacity": 1} if legend else None
    field = {"field": "label", "type": "nominal", "legend": shown}
    return field | {"scale": look.scale(labels)}, field | {"scale": look.shape_scale(labels)}


def _filtered(spec: Spec, look: Look, *, height: int = 200) -> Spec:
    if look.on_page:
        for layer in spec["layer"]:
            layer["transform"] = [*layer.get("transform", []), {"filter": _SHOWN}]
        spec["params"] = [{"name": "shown", "value": None}]
    return _sized(spec, look, height=height)


def _sized(spec: Spec, look: Look, *, height: int = 190) -> Spec:
    width = (
        {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
        if look.on_page
        else {"width": 300}
    )
    return spec | width | {"height": height, "config": look.config()}
