"""Whether each layer clusters unseen images by the colour of a cue or by their classes.

There are as many colours as classes, about as many images of each, and the two are independent, so one k-means
partition is compared with both, and neither can agree better by its number of groups. Agreement is adjusted mutual
information: 0 on average for labels that have nothing to do with the clusters, 1 for labels that are the clusters. The
differences are paired over units, layer by layer; networks count as given.

Fields of the figure's data: l layer, name its module path, x AMI by class - AMI by colour, lo and hi its 95 % interval,
n units, a agreement, m network, w whether a difference is shown, p corrected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.number_texts import spans
from unseen.reporting.run_files import range_of
from unseen.reporting.statistics.claims import CORRECTED, RULE, with_verdicts
from unseen.reporting.statistics.crossfit import at_best, cross_fit
from unseen.reporting.statistics.intervals import Estimate, Floats, estimate
from unseen.reporting.studies.study_effects import Study, level_of
from unseen.reporting.tables import Column, Row, Table
from unseen.reporting.theme import Theme
from unseen.reporting.vega_lite import Spec, marks, number, reaching, short, sized, tooltip
from unseen.scores import CUE_PROBES, INPUT_LAYER, INPUT_NAME
from unseen.wording import count

AGREEMENT = "data.cue_agreement"
_SHOWN, _NOT_SHOWN = "a difference is shown", "no difference is shown"


@dataclass(frozen=True)
class CueLayer:
    """AMI of one layer's clusters with the classes and with the colours."""

    layer: int  # -1 for raw pixels
    name: str
    by_class: Estimate
    by_colour: Estimate
    difference: Estimate  # by class - by colour
    p: float  # two-sided; NaN below three units, and for raw pixels, which no training changes
    corrected: float = math.nan  # for all layers of the study and the parts of the page
    written: bool = False  # whether a sentence may say which is larger


@dataclass(frozen=True)
class CueNetwork:
    """One network, trained at one agreement of colour and class."""

    config: Configuration
    agreement: str
    layers: tuple[CueLayer, ...]  # raw pixels first, then shallow to deep


def cue_networks(study: Study) -> tuple[CueNetwork, ...]:
    """Return what the networks of a study cluster by, those of one network together by their agreement.

    Runs without a cue are left out. All p are corrected together, and for the parts of the page.
    """
    found = [_network(config) for config in study.configurations if _has_cue(config)]
    found.sort(key=lambda one: (one.config.data, one.config.model, float(one.agreement)))
    judged = iter(with_verdicts([layer for one in found for layer in one.layers], study.parts))
    return tuple(replace(one, layers=tuple(next(judged) for _ in one.layers)) for one in found)


def _has_cue(config: Configuration) -> bool:
    return ("unseen", CUE_PROBES["ami"]) in config.probes


def _network(config: Configuration) -> CueNetwork:
    arrange = config.units.arrange
    of_class, of_colour = (
        arrange(config.layers("unseen", probe)[:, -1]) for probe in ("ami", CUE_PROBES["ami"])
    )
    pixels, colours = (arrange(config.pixels("unseen", probe)[:, -1]) for probe in ("ami", CUE_PROBES["ami"]))
    ends = range_of("ami")
    values = (estimate(pixels).within(*ends), estimate(colours).within(*ends), estimate(pixels - colours))
    layers = [CueLayer(INPUT_LAYER, INPUT_NAME, *values, math.nan)]
    for layer, name in enumerate(config.layer_names):
        layers.append(_layer(layer, name, of_class[..., layer], of_colour[..., layer]))
    return CueNetwork(config, level_of(config.runs[0], AGREEMENT, ""), tuple(layers))


def _layer(layer: int, name: str, of_class: Floats, of_colour: Floats) -> CueLayer:
    """Compare (U,) or (S, T) AMI of one layer."""
    known = np.isfinite(of_class - of_colour).all()
    p = cross_fit((of_class - of_colour)[..., None], at_best).p if known else math.nan  # one layer: no choice
    ends = range_of("ami")
    both = estimate(of_class).within(*ends), estimate(of_colour).within(*ends)
    return CueLayer(layer, name, *both, estimate(of_class - of_colour), p)


# ------------------------------------------------------------------ table, sentences, figure
def cue_table(name: str, size: str, found: Sequence[CueNetwork]) -> Table:
    """Return a row for each layer of each network, the raw pixels first."""
    note = (
        "AMI of one k-means partition of the unseen images with their classes and with the colours of their ink, which "
        "are as many as the classes and independent of them: 0 is chance, 1 the same groups [95 % t interval over "
        f"units, from three on]. Differences are paired over units; p is two-sided, and {CORRECTED}. "
        "Agreement: of colour and class in training."
    )
    columns = (
        Column("data"), Column("network"), Column("agreement"), Column("layer"), Column("name"),
        Column("AMI with classes", spread=False), Column("AMI with colours", spread=False),
        Column("classes − colours", spread=False), Column("p", probability=True),
        Column("p (corrected)", probability=True),
        Column("runs compared"),
    )  # fmt: skip
    rows = []
    for one in found:
        for layer in one.layers:
            number_of = "" if layer.layer == INPUT_LAYER else str(layer.layer)
            cells = (
                one.config.data, one.config.model, one.agreement, number_of, layer.name, layer.by_class,
                layer.by_colour, layer.difference, layer.p, layer.corrected, str(one.config.units),
            )  # fmt: skip
            rows.append(Row(cells, one.config.model, one.config.data))
    return Table(
        f"study_{name}_{size}_layers", f"Study {name}, {size} size: layers", note, columns, tuple(rows)
    )


def cue_sentences(found: Sequence[CueNetwork]) -> list[str]:
    """Return by what the layers cluster; a layer is named only where its test passes."""
    if not found:
        return ["By what layers cluster is not known: that takes runs with data.cue_agreement."]
    return [_sentence(one) for one in found]


def _sentence(one: CueNetwork) -> str:
    config, tested = one.config, [layer for layer in one.layers if not math.isnan(layer.p)]
    text = f"{config.model} on {config.data}, trained at agreement {one.agreement}"
    if not tested:
        return f"{text}: by what its layers cluster is not tested, which takes three class splits or seeds."
    by_class, by_colour = (_shown(tested, sign) for sign in (1, -1))
    parts = [
        f"in {_named(layers)} by {this} rather than by {that}"
        for layers, this, that in ((by_colour, "colour", "class"), (by_class, "class", "colour"))
        if layers
    ]
    rest = len(tested) - len(by_class) - len(by_colour)
    left = f"; of {count(rest, 'other layer' if parts else 'layer')} neither is shown" if rest else ""
    shown = (
        f"unseen images cluster {', and '.join(parts)} ({RULE}){left}" if parts else f"{left[2:]} ({RULE})"
    )
    return f"{text}: {shown}. Over {config.units}; holds for {config.units.scope}."


def _shown(layers: Sequence[CueLayer], sign: int) -> list[CueLayer]:
    return [layer for layer in layers if layer.written and sign * layer.difference.mean > 0]


def _named(layers: Sequence[CueLayer]) -> str:
    return f"{'layers' if len(layers) > 1 else 'layer'} {spans([layer.layer for layer in layers])}"


def cue_figure(found: Sequence[CueNetwork], theme: Theme) -> Spec | None:
    """Return AMI with classes minus AMI with colours over the layers, a line for each agreement."""
    rows = [
        {
            "l": layer.layer, "name": layer.name, "x": short(layer.difference.mean), "lo": short(layer.difference.low),
            "hi": short(layer.difference.high), "n": layer.difference.n, "a": one.agreement, "m": one.config.model,
            "w": _SHOWN if layer.written else _NOT_SHOWN, "p": short(layer.corrected),
        }
        for one in found
        for layer in one.layers
        if layer.layer != INPUT_LAYER and layer.difference.n
    ]  # fmt: skip
    if not rows:
        return None
    levels = list(dict.fromkeys(one.agreement for one in sorted(found, key=lambda one: float(one.agreement))))
    last = max(one.config.last_layer for one in found)
    x = number("l", "layer", {"domain": [0, max(last, 1)], "nice": False, "padding": 10})
    x["axis"] = {"values": list(range(0, last + 1, 1 + last // 14)), "format": "d", "grid": False}
    y = number("x", "AMI with classes − with colours", {"zero": True}, tickCount=6)
    legend = {"title": "agreement in training", "orient": "bottom", "symbolOpacity": 1}
    colour = {"field": "a", "type": "nominal", "sort": None, "scale": theme.colours(levels), "legend": legend}
    shapes = {"domain": [_SHOWN, _NOT_SHOWN], "range": ["circle", "square"]}
    shape = {"field": "w", "scale": shapes, "legend": legend | {"title": None}}
    place = {"x": x, "y": y, "color": colour, "detail": [{"field": "m"}]}
    tip = tooltip(
        ("m", "network"), ("a", "agreement"), ("l", "layer"), ("name", "name"), ("x", "classes − colours"),
        ("lo", "95 % from"), ("hi", "95 % to"), ("n", "n"), ("p", "p (corrected)"), ("w", "shown"),
    )  # fmt: skip
    layers = [
        marks("rule", {"y": {"datum": 0}}, [{}], strokeDash=[4, 3], stroke=theme.faint),
        reaching("rule", place, strokeWidth=1.2, opacity=0.5),
        marks("line", place, strokeWidth=2),
        marks("point", place | {"shape": shape, "tooltip": tip}, filled=True, size=55, opacity=1),
    ]
    return sized({"data": {"values": rows}, "layer": layers}, theme, height=210)
