"""Colours and letters of the figures, once for the page (light and dark) and once for files.

The categorical colours are those of Okabe and Ito, told apart in every common kind of colour blindness; shapes
repeat what colours say. On the page a colour is the name of a CSS variable, so that the figures follow the page's
light, dark and print colours without being drawn anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#5C5C5C", "#E69F00", "#56B4E9", "#B8A800")
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Look:
    """Colours of one medium.

    Attributes:
        unseen: Of scores on unseen classes.
        seen: Of scores on seen classes.
        ink: Text and marks without a class.
        faint: Axes, reference levels.
        line: Grid.
        paper: Background.
        categories: Networks and classes.
        font: Letters.
        on_page: Whether the figure takes its width from the page.
    """

    unseen: str
    seen: str
    ink: str
    faint: str
    line: str
    paper: str
    categories: tuple[str, ...]
    font: str
    on_page: bool

    def config(self) -> dict[str, Any]:
        """Return the Vega-Lite configuration."""
        return {
            "font": self.font,
            "background": "transparent" if self.on_page else self.paper,
            "view": {"stroke": None},
            "axis": {
                "labelColor": self.faint,
                "titleColor": self.faint,
                "titleFontWeight": "normal",
                "gridColor": self.line,
                "domainColor": self.faint,
                "tickColor": self.line,
                "labelFontSize": 11,
                "titleFontSize": 11,
            },
            "legend": {
                "labelColor": self.ink,
                "titleColor": self.faint,
                "labelFontSize": 11,
                "labelLimit": 260,
            },
            "title": {"color": self.ink, "subtitleColor": self.faint, "fontSize": 12, "anchor": "start"},
        }

    def scale(self, names: Sequence[str]) -> dict[str, Any]:
        """Return a colour scale in which a name keeps its place's colour."""
        return {
            "domain": list(names),
            "range": [self.categories[i % len(self.categories)] for i in range(len(names))],
        }

    def shape_scale(self, names: Sequence[str]) -> dict[str, Any]:
        """Return a shape scale; beyond eight names colours repeat with another shape."""
        turns = [i + i // len(self.categories) for i in range(len(names))]
        return {"domain": list(names), "range": [SHAPES[turn % len(SHAPES)] for turn in turns]}


PAGE = Look(
    unseen="var(--unseen)",
    seen="var(--seen)",
    ink="var(--ink)",
    faint="var(--faint)",
    line="var(--line)",
    paper="var(--paper)",
    categories=tuple(f"var(--c{number})" for number in range(1, 9)),
    font=_FONT,
    on_page=True,
)
FILES = Look(
    unseen="#D55E00",
    seen="#0072B2",
    ink="#1b1f24",
    faint="#57606a",
    line="#e3e6ea",
    paper="#ffffff",
    categories=OKABE_ITO,
    font="DejaVu Sans, Liberation Sans, Arial, sans-serif",
    on_page=False,
)
