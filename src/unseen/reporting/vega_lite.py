"""Pieces of Vega-Lite specifications that every figure is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unseen.reporting.theme import Theme

Spec = dict[str, Any]


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


def short(value: float) -> float | None:
    """Return a number with four digits after the point, None (JSON null) for NaN."""
    return round(float(value), 4) if math.isfinite(value) else None


def sized(spec: Spec, theme: Theme, *, height: int = 190) -> Spec:
    """Return a figure of this height: as wide as its place on the page, 300 pixels in a file."""
    width: Spec = {"width": 300}
    if theme.on_page:
        width = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    return spec | width | {"height": height, "config": theme.config()}
