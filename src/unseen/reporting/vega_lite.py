"""Pieces of Vega-Lite specifications that every figure is made of, and their files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vl_convert

from unseen.reporting.statistics.intervals import Estimate
from unseen.reporting.theme import Theme

Spec = dict[str, Any]
_PNG_SCALE = 1.5
LEGEND = {"title": None, "orient": "bottom", "symbolOpacity": 1}


def number(field: str, title: str | None, scale: Spec, **axis: Any) -> Spec:
    """Return the encoding of a number."""
    encoding = {"field": field, "type": "quantitative", "title": title, "scale": scale}
    return encoding | ({"axis": axis} if axis else {})


def marks(
    mark: str,
    encoding: Spec,
    rows: Sequence[Spec] | None = None,
    transform: Sequence[Spec] = (),
    **style: Any,
) -> Spec:
    """Return marks of one kind, of their own rows or those of the figure."""
    data = {} if rows is None else {"data": {"values": list(rows)}}
    return data | {"transform": list(transform), "mark": {"type": mark, **style}, "encoding": encoding}


def tooltip(*fields: tuple[str, str]) -> list[Spec]:
    """Return what a figure shows when a person points at a mark: (field, title) each."""
    return [{"field": field, "title": title} for field, title in fields]


def reaching(
    mark: str,
    place: Spec,
    rows: Sequence[Spec] | None = None,
    transform: Sequence[Spec] = (),
    *,
    axis: str = "y",
    **style: Any,
) -> Spec:
    """Return marks from `lo` to `hi` of the rows that have them, along an axis of values encoded as in `place`."""
    encoding = place | {axis: place[axis] | {"field": "lo"}, f"{axis}2": {"field": "hi"}}
    return marks(mark, encoding, rows, [*transform, {"filter": "isValid(datum.lo)"}], **style)


def short(value: float) -> float | None:
    """Return a number with four digits after the point, None (JSON null) for NaN."""
    return round(float(value), 4) if math.isfinite(value) else None


def deviation(found: Estimate) -> Spec:
    """Return one standard deviation below and above a mean as `lo` and `hi` of a row; nothing where there is none."""
    if math.isnan(found.std):
        return {}
    return {"lo": short(found.mean - found.std), "hi": short(found.mean + found.std), "sd": short(found.std)}


def without_config(spec: Spec) -> Spec:
    """Return a figure as a part of another one, which has the configuration."""
    return {key: value for key, value in spec.items() if key != "config"}


def sized(spec: Spec, theme: Theme, *, height: int = 190) -> Spec:
    """Return a figure of this height: as wide as its place on the page, 300 pixels in a file."""
    width: Spec = {"width": 300}
    if theme.on_page:
        width = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    return spec | width | {"height": height, "config": theme.config()}


def write_figures(specs: Mapping[str, Spec], folder: Path) -> None:
    """Write figures as SVG and PNG under their names; `folder` is made if absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in specs.items():
        svg = vl_convert.vegalite_to_svg(spec)
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        (folder / f"{name}.png").write_bytes(vl_convert.svg_to_png(svg, scale=_PNG_SCALE))
