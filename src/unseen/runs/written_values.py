"""How a measured value is written: on the screen, and in a file."""

import math
from collections.abc import Mapping
from typing import Any


def on_screen(value: float) -> str:
    """Return three digits or three places; a dash where there is no value.

    >>> on_screen(0.12345), on_screen(123.45), on_screen(-0.0000123), on_screen(float("nan"))
    ('0.123', '123', '-1.2e-05', '–')
    """
    if math.isnan(value):
        return "–"
    if 0 < abs(value) < 0.0005:  # would be 0.000
        return f"{value:.1e}"
    return f"{value:.3g}" if abs(value) >= 10 else f"{value:.3f}"


def in_csv(value: float) -> float | str:
    """Return the value itself; an empty cell where there is none."""
    return "" if math.isnan(value) else value


def in_table(value: Any, shown: str = ".3f") -> str:
    """Return a value of summary.json or scores.csv; a dash for NaN, nothing for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return "–" if math.isnan(value) else f"{value:{shown}}"


def best_layer(summary: Mapping[str, Any]) -> str:
    """Return which layer of a run's summary is the best, of how many.

    >>> best_layer({"best_layer": 6, "num_layers": 9})
    '6 of 0..8'
    """
    count = summary.get("num_layers")
    return f"{summary.get('best_layer')} of 0..{count - 1 if isinstance(count, int) else '?'}"
