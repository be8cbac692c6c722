"""Figures of a data set as Vega-Lite specifications: all its settings in one picture."""

from __future__ import annotations

import math

from unseen.reporting.analysis import Contest
from unseen.reporting.figure_parts import (
    MOST_LINES,
    NUMBERS,
    Spec,
    by_label,
    filtered,
    number_row,
    short,
    tips,
    where_there_are,
)
from unseen.reporting.looks import Look
from unseen.reporting.probe_facts import destroyed_images


def over_steps(contest: Contest, look: Look, *, what: str) -> Spec:
    """Return g (what="g") or seen accuracy (what="accuracy") over the training steps, a line a setting."""
    rows = []
    for setting in contest.settings[:MOST_LINES]:
        found = setting.g_of_steps if what == "g" else setting.accuracy_of_steps
        rows += [
            number_row(found.at(place))
            | {"step": int(step), "label": setting.group.label, "model": setting.group.model}
            for place, step in enumerate(setting.group.steps)
            if found.n[place]
        ]
    colour, shape = by_label(contest, look)
    x = {
        "field": "step",
        "type": "quantitative",
        "title": "training step",
        "scale": {"domain": _first_and_last_step(contest), "nice": False, "padding": 8},
        "axis": {"grid": False, "tickCount": 6},
    }
    y = {
        "field": "v",
        "type": "quantitative",
        "title": None,
        "scale": {"zero": True, "nice": True} if what == "g" else {"domain": [0, 1]},
        "axis": {"tickCount": 5},
    }
    place = {"x": x, "y": y, "color": colour}
    interval = {
        "transform": [{"filter": "isValid(datum.lo)"}],
        "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.6},
        "encoding": {"x": x, "y": y | {"field": "lo"}, "y2": {"field": "hi"}, "color": colour},
    }
    layers: list[Spec] = [
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": place},
        *where_there_are(interval, rows, "lo"),
        {
            "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
            "encoding": place
            | {"shape": shape, "tooltip": tips(("label", "network"), ("step", "step"), *NUMBERS)},
        },
    ]
    return filtered({"data": {"values": rows}, "layer": layers}, look)


def _first_and_last_step(contest: Contest) -> list[int]:
    steps = [int(step) for setting in contest.settings for step in setting.group.steps]
    return [min(steps), max(*steps, min(steps) + 1)]


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
                    "a": short(setting.accuracy.mean),
                    "v": short(setting.g.of_mean.mean),
                    "n": setting.g.of_mean.n,
                }
            )
        runs += [
            name | {"a": short(accuracy), "v": short(value), "seed": seed}
            for accuracy, value, seed in zip(
                setting.group.accuracy[:, -1], nmi, setting.group.seeds, strict=True
            )
            if math.isfinite(accuracy) and math.isfinite(value)
        ]
    colour, shape = by_label(contest, look)
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
                "tooltip": tips(
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
                "tooltip": tips(("label", "network"), ("a", "accuracy"), ("v", "g"), ("n", "runs")),
            },
        },
    ]
    return filtered({"layer": layers}, look, height=280)


def destroyed(contest: Contest, look: Look) -> Spec | None:
    """Return the unseen NMI of each setting's best layer on images destroyed by noise; None where nobody measured."""
    rows = []
    for setting in contest.settings[:MOST_LINES]:
        name = {"label": setting.group.label, "model": setting.group.model}
        levels = destroyed_images(setting.group)
        if levels:
            rows.append(name | {"level": 0.0, "v": short(setting.g.of_mean.mean)})
        rows += [
            name | {"level": level, "v": short(values[setting.g.best_layer])} for level, values in levels
        ]
    if not rows:
        return None
    colour, shape = by_label(contest, look)
    encoding = {
        "x": {
            "field": "level",
            "type": "quantitative",
            "title": "noise in the images",
            "axis": {"grid": False},
        },
        "y": {"field": "v", "type": "quantitative", "title": "NMI", "scale": {"domain": [0, 1]}},
        "color": colour,
        "tooltip": tips(("label", "network"), ("level", "noise"), ("v", "NMI")),
    }
    layers = [
        {"mark": "line", "encoding": encoding},
        {"mark": {"type": "point", "filled": True, "size": 45}, "encoding": encoding | {"shape": shape}},
    ]
    return filtered({"data": {"values": rows}, "layer": layers}, look)
