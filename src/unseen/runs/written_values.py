"""How a measured value is written: on the screen, and in a file."""

import math


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
