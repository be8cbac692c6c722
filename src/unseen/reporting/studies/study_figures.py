"""The figure of a study: what each level does to g, or how g varies where nothing is compared.

Fields of the data: y level or configuration, f reference, x value, lo and hi its 95 % interval, n units, w whether a
change is shown, p corrected, u class split or seed.
"""

from __future__ import annotations

import math

from unseen.reporting.statistics.intervals import Estimate
from unseen.reporting.studies.study_effects import Study
from unseen.reporting.studies.study_tables import MEASURES, g_by
from unseen.reporting.theme import Theme
from unseen.reporting.vega_lite import LEGEND, Spec, marks, number, reaching, short, sized, tooltip

_ROW = 24  # pixels of a level
_SHOWN, _NOT_SHOWN = "a change is shown", "no change is shown"
_NUMBERS = (("lo", "95 % from"), ("hi", "95 % to"), ("n", "n"))


def study_figure(study: Study, theme: Theme) -> Spec | None:
    """Return the differences from the reference, a row a level; of a study without one, g of each configuration."""
    return _effects(study, theme) if study.about.reference else _spread(study, theme)


def _effects(study: Study, theme: Theme) -> Spec | None:
    rows = [
        _interval(level.effect.g)
        | {"y": f"{factor.setting}={level.value}", "w": _SHOWN if level.effect.written else _NOT_SHOWN}
        | {"p": short(level.effect.corrected), "f": f"{factor.setting}={factor.reference}"}
        for factor in study.factors
        for level in factor.levels
        if level.effect
    ]
    if not rows:
        return None
    names = [_SHOWN, _NOT_SHOWN]
    colour = {
        "field": "w",
        "type": "nominal",
        "scale": {"domain": names, "range": [theme.unseen, theme.faint]},
        "legend": LEGEND,
    }
    title = f"{MEASURES[study.about.measure]} − that of the reference"
    tip = tooltip(("y", "level"), ("f", "reference"), ("x", "difference"), *_NUMBERS, ("p", "p (corrected)"))
    shape = {"field": "w", "scale": {"domain": names, "range": ["circle", "square"]}, "legend": LEGEND}
    place = {"y": _level(), "x": number("x", title, {"zero": True}, tickCount=6)}
    layers = [
        marks("rule", {"x": {"datum": 0}}, [{}], strokeDash=[4, 3], stroke=theme.faint),
        reaching("rule", place | {"color": colour}, axis="x", strokeWidth=2),
        marks(
            "point",
            place | {"color": colour, "shape": shape, "tooltip": tip},
            filled=True,
            size=60,
            opacity=1,
        ),
    ]
    return sized({"data": {"values": rows}, "layer": layers}, theme, height=_ROW * len(rows))


def _spread(study: Study, theme: Theme) -> Spec | None:
    """Return the study's measure of each unit at the layer that is best in the mean, and the interval of g."""
    points, means, measure = [], [], study.about.measure
    name_of = measure.upper()
    for config in study.configurations:
        name = f"{config.label}, {config.data}"
        g = g_by(config, measure)
        if g is None:
            continue
        for unit, values in config.of_each_unit("unseen", measure):
            if math.isfinite(values[g.best_layer]):
                points.append({"y": name, "x": short(values[g.best_layer]), "u": unit})
        means.append(_interval(g.score) | {"y": name})
    if len(points) <= len(means):
        return None
    noun = study.configurations[0].units.noun
    place = {
        "y": _level(),
        "x": number("x", f"{name_of} of the unseen classes", {"zero": False}, tickCount=6),
    }
    unit_tip = tooltip(("y", "network"), ("u", noun), ("x", f"{name_of} of the best layer"))
    layers = [
        marks(
            "tick",
            place | {"tooltip": unit_tip},
            points,
            stroke=theme.seen,
            thickness=1.5,
            size=12,
            opacity=0.7,
        ),
        reaching("rule", place, means, axis="x", strokeWidth=2, stroke=theme.unseen),
        marks(
            "point",
            place | {"tooltip": tooltip(("y", "network"), ("x", MEASURES[measure]), *_NUMBERS)},
            means,
            filled=True,
            color=theme.unseen,
            size=60,
            opacity=1,
        ),
    ]
    return sized({"layer": layers}, theme, height=max(60, _ROW * len(means)))


def _level() -> Spec:
    return {"field": "y", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 260}}


def _interval(found: Estimate) -> Spec:
    return {"x": short(found.mean), "lo": short(found.low), "hi": short(found.high), "n": found.n}
