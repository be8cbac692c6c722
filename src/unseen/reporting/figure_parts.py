"""What several figures share: sizes, hover values, colours by network."""

from __future__ import annotations

import math
from typing import Any

from unseen.reporting.analysis import Contest
from unseen.reporting.looks import Look
from unseen.reporting.statistics import Estimate

Spec = dict[str, Any]
MOST_LINES = 16  # more cannot be told apart
NUMBERS = (("v", "mean"), ("lo", "95 % from"), ("hi", "95 % to"), ("sd", "std"), ("n", "runs"))
_SHOWN = "!isArray(shown) || indexof(shown, datum.model) >= 0"


def number_row(found: Estimate) -> Spec:
    """Return mean, n and, where there is one, the interval under the names that the figures use."""
    row: Spec = {"v": short(found.mean), "n": found.n}
    if math.isfinite(found.low):
        row |= {"lo": short(found.low), "hi": short(found.high), "sd": short(found.std)}
    return row


def where_there_are(layer: Spec, rows: list[Spec], field: str) -> list[Spec]:
    """Return the layer in a list if any row has the field, else none: an axis of nothing is an error to Vega."""
    return [layer] if any(field in row for row in rows) else []


def short(value: float) -> float | None:
    """Return a number with four digits behind the point, None (JSON null) for NaN."""
    return round(float(value), 4) if math.isfinite(value) else None


def tips(*fields: tuple[str, str]) -> list[Spec]:
    """Return what a figure shows when a person points at a mark: (field, title) each."""
    return [{"field": field, "title": title} for field, title in fields]


def by_label(contest: Contest, look: Look) -> tuple[Spec, Spec]:
    """Return colour and shape of the settings; a network has the same in every figure of its data set."""
    labels = sorted(setting.group.label for setting in contest.settings[:MOST_LINES])
    legend = {"orient": "bottom", "columns": 2, "title": None, "symbolOpacity": 1, "symbolSize": 70}
    field = {"field": "label", "type": "nominal", "legend": legend}
    return field | {"scale": look.scale(labels)}, field | {"scale": look.shape_scale(labels)}


def filtered(spec: Spec, look: Look, *, height: int = 200) -> Spec:
    """Return a layered figure that the page can narrow to some networks by its parameter `shown`."""
    if look.on_page:
        for layer in spec["layer"]:
            layer["transform"] = [*layer.get("transform", []), {"filter": _SHOWN}]
        spec["params"] = [{"name": "shown", "value": None}]
    return sized(spec, look, height=height)


def sized(spec: Spec, look: Look, *, height: int = 190) -> Spec:
    """Return the figure with the size and colours of its medium."""
    width = (
        {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
        if look.on_page
        else {"width": 300}
    )
    return spec | width | {"height": height, "config": look.config()}
