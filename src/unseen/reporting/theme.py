"""Colours and fonts of the figures: one theme for the page (light and dark), one for files.

The categorical colours are those of Okabe and Ito, distinct in every common kind of colour blindness; shapes repeat
what colours show. On the page a colour is the name of a CSS variable, so that the figures follow the page's light,
dark and print colours without being drawn anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_SHAPES = (
    "circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left",
)  # fmt: skip
_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#5C5C5C", "#E69F00", "#56B4E9", "#B8A800")


@dataclass(frozen=True)
class Theme:
    """Colours of one medium."""

    unseen: str  # scores on unseen classes
    seen: str
    ink: str  # text and marks without a class
    faint: str  # axes, reference levels
    line: str  # grid
    background: str
    panel: str  # what a figure lies on
    categories: tuple[str, ...]  # networks and classes
    font: str  # CSS font family
    on_page: bool  # whether the figure takes its width from the page

    def config(self) -> dict[str, Any]:
        """Return the Vega-Lite configuration."""
        axis = {
            "labelColor": self.faint, "titleColor": self.faint, "titleFontWeight": "normal", "gridColor": self.line,
            "domainColor": self.faint, "tickColor": self.line, "labelFontSize": 11, "titleFontSize": 11,
        }  # fmt: skip
        legend = {"labelColor": self.ink, "titleColor": self.faint, "labelFontSize": 11, "labelLimit": 260}
        title = {"color": self.ink, "subtitleColor": self.faint, "fontSize": 12, "anchor": "start"}
        whole = {"font": self.font, "background": self.background, "view": {"stroke": None}}
        return whole | {"axis": axis, "legend": legend, "title": title}

    def colours(self, names: Sequence[str]) -> dict[str, Any]:
        """Return a colour scale; beyond eight names colours repeat, with another shape."""
        count = len(self.categories)
        return {"domain": list(names), "range": [self.categories[i % count] for i in range(len(names))]}

    def shapes(self, names: Sequence[str]) -> dict[str, Any]:
        """Return a shape scale."""
        turns = [i + i // len(self.categories) for i in range(len(names))]
        return {"domain": list(names), "range": [_SHAPES[turn % len(_SHAPES)] for turn in turns]}


PAGE = Theme(
    unseen="var(--unseen)",
    seen="var(--seen)",
    ink="var(--ink)",
    faint="var(--faint)",
    line="var(--line)",
    background="transparent",
    panel="var(--panel)",
    categories=tuple(f"var(--c{number})" for number in range(1, 9)),
    font="system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
    on_page=True,
)
FILES = Theme(
    unseen="#D55E00",
    seen="#0072B2",
    ink="#1b1f24",
    faint="#57606a",
    line="#e3e6ea",
    background="#ffffff",
    panel="#ffffff",
    categories=_OKABE_ITO,
    font="DejaVu Sans, Liberation Sans, Arial, sans-serif",
    on_page=False,
)
