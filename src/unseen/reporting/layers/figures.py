"""The figures as Vega-Lite specifications: plain dictionaries that open in any Vega editor, too.

A figure for the page (theme PAGE) is as wide as its place and has parameters: `probe` chooses the probe, `shown` the
networks. A figure for a file (theme FILES) is fixed.

Fields of the data: v value, lo and hi its 95 % interval, sd standard deviation, n runs, l layer, s split, p probe,
u class split or seed, k kind of reference level, a accuracy, c class.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from unseen.probe_table import HEADINGS
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.statistics.intervals import SHARE, Estimate, estimates
from unseen.reporting.theme import FILES, Theme
from unseen.reporting.vega_lite import (
    LEGEND,
    Spec,
    marks,
    number,
    reaching,
    short,
    sized,
    tooltip,
    without_config,
)
from unseen.scores import SPLITS

MOST_LINES = 16  # more cannot be distinguished
_MOST_NAMED = 8  # points with their names beside them
_MOST_CELLS_WITH_TEXT = 8  # columns of a heat map
_NOTE_WIDTH = 58  # characters, below the title of a file, of each figure in a row
_NUMBERS = (("v", "mean"), ("lo", "95 % from"), ("hi", "95 % to"), ("sd", "sd"), ("n", "n"))
_SHOWN = "!isArray(shown) || indexof(shown, datum.model) >= 0"
_SPLIT_SHAPES = {"domain": list(SPLITS), "range": ["circle", "square"]}
_SPLIT_DASHES = {"domain": list(SPLITS), "range": [[1, 0], [5, 3]]}
_AXIS_TITLE = {"anchor": "middle", "fontSize": 11, "fontWeight": "normal", "offset": 4}
_KIND_DASHES = {"domain": ["chance", "ceiling", "pixels"], "range": [[1, 3], [8, 3, 2, 3], [4, 2]]}


def layer_curves(config: Configuration, theme: Theme) -> Spec:
    """Return the scores over the layers at the last step, with intervals, chance, ceiling and raw pixels.

    The page has a choice of probes, a file the NMI.
    """
    probes = list(HEADINGS) if theme.on_page else ["nmi"]
    rows = [row for split in SPLITS for name in probes for row in _curve_rows(config, split, name)]
    levels, paths = _reference_rows(config, probes)
    last = config.last_layer
    x = number("l", "layer", {"domain": [0, max(last, 1)], "nice": False, "padding": 8})
    x["axis"] = {"values": list(range(0, last + 1, 1 + last // 14)), "format": "d", "grid": False}
    y = number("v", None if theme.on_page else HEADINGS["nmi"], {"domain": [0, 1]}, tickCount=5)
    legend = None if theme.on_page else {"title": "classes", "orient": "bottom"}
    split_colours = {"domain": list(SPLITS), "range": [theme.unseen, theme.seen]}
    colour = {"field": "s", "type": "nominal", "scale": split_colours, "legend": legend}
    chosen = [{"filter": "datum.p == probe"}] if theme.on_page else []
    place = {"x": x, "y": y, "color": colour}
    kind = {"field": "k", "type": "nominal", "scale": _KIND_DASHES, "legend": None}
    level_tip = tooltip(("k", "level"), ("s", "classes"), ("v", "value"), ("how", "which is"))
    level = {"color": colour, "strokeDash": kind, "tooltip": level_tip}
    point = {
        "shape": {"field": "s", "scale": _SPLIT_SHAPES, "legend": None},
        "size": {"condition": {"test": "datum.best", "value": 150}, "value": 32},
        "tooltip": tooltip(("l", "layer"), ("name", "name"), ("depth", "depth"), ("s", "classes"), *_NUMBERS),
    }
    dash = {"strokeDash": {"field": "s", "scale": _SPLIT_DASHES, "legend": None}}
    layers = [
        marks("rule", {"y": y} | level, levels, chosen, strokeWidth=1.2, opacity=0.75),
        marks("line", {"x": x, "y": y} | level, paths, chosen, strokeWidth=1.2, opacity=0.75),
        *_intervals("area", place, rows, chosen, opacity=0.2),
        *_thin_lines(config, probes, place, chosen),
        marks("line", place | dash, transform=chosen, strokeWidth=2),
        marks("point", place | point, transform=chosen, filled=True, opacity=1),
    ]
    params: Spec = {}
    if theme.on_page:  # the title of an axis cannot follow a parameter, that of a figure can
        named: Spec = {"text": {"expr": f"{json.dumps(HEADINGS)}[probe]"}, "orient": "left"}
        params = {
            "params": [{"name": "probe", "value": "nmi"}],
            "title": named | _AXIS_TITLE | {"color": theme.faint},
        }
    independent = {"scale": {"strokeDash": "independent"}}
    return sized({"data": {"values": rows}, "layer": layers, "resolve": independent} | params, theme)


def _curve_rows(config: Configuration, split: str, probe: str) -> list[Spec]:
    if (split, probe) not in config.probes:
        return []
    scores = config.band(split, probe)
    best = -1
    if split == "unseen" and any(score.n for score in scores):
        best = config.g.best_layer if probe == "nmi" else int(np.nanargmax([score.mean for score in scores]))
    return [
        _estimate(score)
        | {"l": layer, "name": config.layer_names[layer], "depth": short(config.depths[layer]), "s": split, "p": probe}
        | ({"best": True} if layer == best else {})
        for layer, score in enumerate(scores)
        if score.n
    ]  # fmt: skip


def _thin_lines(
    config: Configuration, probes: Sequence[str], place: Spec, chosen: Sequence[Spec]
) -> list[Spec]:
    """Return the layer with a line for each class split or seed, [] where one alone would lie on the mean."""
    rows = [
        {"l": layer, "s": split, "p": probe, "u": name, "v": short(value)}
        for split in SPLITS
        for probe in probes
        if (split, probe) in config.probes
        for name, values in config.of_each_unit(split, probe)[:MOST_LINES]
        for layer, value in enumerate(values)
        if math.isfinite(value)
    ]
    if len(config.units.units) < 2 or not rows:
        return []
    detail = {
        "detail": [{"field": "u"}],
        "tooltip": tooltip(("u", config.units.noun), ("l", "layer"), ("v", "score")),
    }
    return [marks("line", place | detail, rows, chosen, strokeWidth=0.7, opacity=0.45)]


def _reference_rows(config: Configuration, probes: Sequence[str]) -> tuple[list[Spec], list[Spec]]:
    """Return the levels that are equal for all layers, and those with a value for each."""
    levels, paths = [], []
    for split in SPLITS:
        for probe in probes:
            for kind, level in config.references(split, probe).items():
                row = {"s": split, "p": probe, "k": kind, "how": level.meaning}
                if np.ptp(level.values) == 0:
                    levels.append(row | {"v": short(level.values[0])})
                else:
                    paths += [row | {"l": at, "v": short(value)} for at, value in enumerate(level.values)]
    return levels, paths


def heat_map(config: Configuration, theme: Theme, *, top: float) -> Spec:
    """Return the unseen NMI of every layer at every step; `top` is the upper end of the colours."""
    nmi = config.units.arrange(config.layers("unseen", "nmi"))  # (U, T, L)
    rows = [
        _estimate(score.within(*SHARE)) | {"l": layer, "name": config.layer_names[layer], "step": step}
        for place, step in enumerate(config.steps)
        for layer, score in enumerate(estimates(nmi[..., place, :]))
        if score.n
    ]
    x: Spec = {"field": "step", "type": "ordinal", "title": "training step"}
    x["axis"] = {"labelAngle": 0, "labelOverlap": True}
    y = {"field": "l", "type": "ordinal", "sort": "descending", "title": "layer"}
    colour = number("v", "NMI", {"scheme": "viridis", "domain": [0, top]})
    colour["legend"] = {"gradientThickness": 10, "tickCount": 4}
    hover = tooltip(("l", "layer"), ("name", "name"), ("step", "step"), *_NUMBERS)
    layers = [marks("rect", {"x": x, "y": y, "color": colour, "tooltip": hover})]
    if len(config.steps) <= _MOST_CELLS_WITH_TEXT:
        ink = {"condition": {"test": f"datum.v > {0.6 * top}", "value": "#111111"}, "value": "#ffffff"}
        text = {"x": x, "y": y, "text": {"field": "v", "format": ".2f"}, "color": ink}
        layers.append(marks("text", text, fontSize=10))
    height = max(100, 20 * len(config.layer_names))
    return sized({"data": {"values": rows}, "layer": layers}, theme, height=height)


def embedding_picture(points: Sequence[Spec], classes: Sequence[str], theme: Theme) -> Spec:
    """Return a picture of embeddings: rows with x, y and their class c."""
    bare = {"type": "quantitative", "axis": None, "scale": {"zero": False}}
    by_class = {"field": "c", "type": "nominal", "legend": LEGEND | {"columns": 3}}
    encoding = {
        "x": bare | {"field": "x"},
        "y": bare | {"field": "y"},
        "color": by_class | {"scale": theme.colours(classes)},
        "shape": by_class | {"scale": theme.shapes(classes)},
        "tooltip": tooltip(("c", "class")),
    }
    layer = marks("point", encoding, points, filled=True, size=18, opacity=0.7)
    return sized(layer, theme, height=220)


def over_steps(configurations: Sequence[Configuration], theme: Theme, *, what: str) -> Spec:
    """Return g (what="g") or seen accuracy (what="accuracy") over the training steps, a line a configuration."""
    rows = []
    for config in configurations[:MOST_LINES]:
        of_steps = config.g_of_steps if what == "g" else config.accuracy_of_steps
        rows += [
            _estimate(at) | {"step": step} | _label(config)
            for step, at in zip(config.steps, of_steps, strict=True)
            if at.n
        ]
    steps = [step for config in configurations for step in config.steps]
    domain = {"domain": [min(steps), max(*steps, min(steps) + 1)], "nice": False, "padding": 8}
    height = {"zero": True, "nice": True} if what == "g" else {"domain": [0, 1]}
    colour, shape = _by_label(configurations, theme)
    x = number("step", "training step", domain, grid=False, tickCount=6)
    title = "g, unseen classes" if what == "g" else "accuracy, seen classes"
    place = {"x": x, "y": number("v", title, height, tickCount=5), "color": colour}
    hover = tooltip(("label", "network"), ("step", "step"), *_NUMBERS)
    layers = [
        marks("line", place, strokeWidth=2),
        *_intervals("rule", place, rows, strokeWidth=1.5, opacity=0.6),
        marks("point", place | {"shape": shape, "tooltip": hover}, filled=True, size=45, opacity=1),
    ]
    return _filtered({"data": {"values": rows}, "layer": layers}, theme)


def accuracy_and_g(configurations: Sequence[Configuration], theme: Theme) -> Spec:
    """Return seen accuracy against g: a large mark a configuration, a small one a run."""
    means, runs = [], []
    for config in configurations:
        if config.accuracy.n:
            g = config.score
            means.append(_label(config) | {"a": short(config.accuracy.mean), "v": short(g.mean), "n": g.n})
        pairs = zip(config.accuracies[:, -1], config.nmi[:, config.g.best_layer], config.runs, strict=True)
        runs += [
            _label(config)
            | {"a": short(accuracy), "v": short(value), "run": f"{run.classes}, seed {run.facts.seed}"}
            for accuracy, value, run in pairs
            if math.isfinite(accuracy) and math.isfinite(value)
        ]
    colour, shape = _by_label(configurations, theme)
    scale = {"zero": False, "padding": 24, "nice": True}
    place = {
        "x": number("a", "accuracy on seen classes", scale, tickCount=5),
        "y": number("v", "g (unseen classes)", scale, tickCount=5),
        "color": colour,
    }
    of_run = tooltip(
        ("label", "network"), ("run", "unseen, seed"), ("a", "accuracy"), ("v", "NMI, best layer")
    )
    of_mean = tooltip(("label", "network"), ("a", "accuracy"), ("v", "g"), ("n", "n"))
    mean = place | {"shape": shape, "tooltip": of_mean}
    middle = (min((row["a"] for row in means), default=0) + max((row["a"] for row in means), default=0)) / 2
    names = [
        marks("text", place | {"text": {"field": "label"}}, rows, align=align, dx=dx, limit=130)
        for align, dx, rows in (
            ("left", 9, [row for row in means if row["a"] <= middle]),
            ("right", -9, [row for row in means if row["a"] > middle]),
        )
        if rows and len(means) <= _MOST_NAMED
    ]  # towards the middle, so that none leaves the figure
    layers = [
        marks("point", place | {"tooltip": of_run}, runs, filled=True, size=22, opacity=0.45),
        marks("point", mean, means, filled=True, size=130, opacity=1),
        *names,
    ]
    return _filtered({"layer": layers}, theme, height=280)


def destroyed(configurations: Sequence[Configuration], theme: Theme) -> Spec | None:
    """Return the unseen NMI of the best layers on images destroyed by noise; None where it was not measured."""
    rows = []
    for config in configurations[:MOST_LINES]:
        if config.destroyed:
            rows.append(_label(config) | {"level": 0.0, "v": short(config.g.plain.mean)})
        for level, values in config.destroyed:
            rows.append(_label(config) | {"level": level, "v": short(values[config.g.best_layer])})
    if not rows:
        return None
    colour, shape = _by_label(configurations, theme)
    encoding = {
        "x": number("level", "noise in the images", {}, grid=False),
        "y": number("v", "NMI", {"domain": [0, 1]}),
        "color": colour,
        "tooltip": tooltip(("label", "network"), ("level", "noise"), ("v", "NMI")),
    }
    layers = [
        marks("line", encoding),
        marks("point", encoding | {"shape": shape}, filled=True, size=45),
    ]
    return _filtered({"data": {"values": rows}, "layer": layers}, theme)


def side_by_side(
    titled: Sequence[tuple[str, Spec]],
    title: str,
    subtitle: str,
    *,
    columns: int = 3,
) -> Spec:
    """Return several figures as one for a file, each under its title.

    Args:
        titled: Titles and figures.
        title: Of all.
        subtitle: What the marks mean.
        columns: Figures in a row.
    """
    parts = [without_config(spec) | {"title": name} for name, spec in titled]
    lines = textwrap.wrap(subtitle, _NOTE_WIDTH * min(columns, len(titled)))
    heading = {"text": title, "subtitle": lines, "fontSize": 15, "subtitleFontSize": 12, "offset": 12}
    layout = {"columns": columns, "spacing": 24, "padding": 12}
    return {"title": heading, "concat": parts, "config": FILES.config()} | layout


def _intervals(
    mark: str, place: Spec, rows: Sequence[Spec], transform: Sequence[Spec] = (), **style: Any
) -> list[Spec]:
    """Return the layer of the intervals in a list, [] where no row has one: Vega refuses an axis without data."""
    if not any("lo" in row for row in rows):
        return []
    # clipped: with few units it exceeds the axis
    return [reaching(mark, place, None, transform, clip=True, **style)]


def _estimate(estimate: Estimate) -> Spec:
    row: Spec = {"v": short(estimate.mean), "n": estimate.n}
    if math.isfinite(estimate.low):
        row |= {"lo": short(estimate.low), "hi": short(estimate.high), "sd": short(estimate.std)}
    return row


def _label(config: Configuration) -> Spec:
    return {"label": config.label, "model": config.model}


def _by_label(configurations: Sequence[Configuration], theme: Theme) -> tuple[Spec, Spec]:
    """Return colour and shape of the configurations, the same in every figure of a data set."""
    labels = sorted(config.label for config in configurations[:MOST_LINES])
    field = {"field": "label", "type": "nominal", "legend": LEGEND | {"columns": 2, "symbolSize": 70}}
    return field | {"scale": theme.colours(labels)}, field | {"scale": theme.shapes(labels)}


def _filtered(spec: Spec, theme: Theme, *, height: int = 200) -> Spec:
    """Return a layered figure that the page can narrow to some networks by its parameter `shown`."""
    if theme.on_page:
        for layer in spec["layer"]:
            layer["transform"].append({"filter": _SHOWN})
        spec["params"] = [{"name": "shown", "value": None}]
    return sized(spec, theme, height=height)
