"""What the figures of a study share: colours of the categories, and numbers as they are drawn."""

from __future__ import annotations

import math

from unseen.reporting.biases.networks import Networks
from unseen.reporting.number_texts import signed
from unseen.reporting.theme import Theme
from unseen.reporting.vega_lite import Spec

OWN = "own"  # the subset of one's own networks
OWN_COLOUR = "#d1006c"  # none of the categories has it


def category_colours(networks: Networks, theme: Theme) -> Spec:
    """Return the scale of the categories' colours, the baseline in ink."""
    names = ordered_categories(networks)
    scale = theme.colours([readable(name) for name in names])
    scale["range"] = [
        theme.ink if name == "baseline" else colour
        for name, colour in zip(names, scale["range"], strict=True)
    ]
    return scale


def ordered_categories(networks: Networks) -> list[str]:
    """Return the categories, the baseline last: it is drawn over the others."""
    return sorted(set(networks.categories), key=lambda name: (name == "baseline", name))


def readable(category: str) -> str:
    """Return a category as a person reads it."""
    return category.replace("_", " ")


def rho_text(rho: float, significant: bool) -> str:
    """Return a correlation with two digits, in brackets where it is not significant."""
    if math.isnan(rho):
        return "–"
    text = signed(round(rho, 2) + 0.0).replace("0.", ".", 1)  # + 0.0: zero has no sign
    return text if significant else f"({text})"


def drawn(value: float) -> float | None:
    """Return a number with five significant digits, None for NaN."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
