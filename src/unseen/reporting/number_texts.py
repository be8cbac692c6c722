"""Numbers as sentences name them: a minus that is one, a mean with its interval, a p, numbers in a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from unseen.reporting.statistics.intervals import Estimate


def signed(value: float, form: str = ".2f") -> str:
    """Return a number in a format of Python's, with a minus sign that is one.

    >>> signed(-0.254), signed(0.1, "+.3f")
    ('−0.25', '+0.100')
    """
    return format(value, form).replace("-", "−")


def with_interval(estimate: Estimate) -> str:
    """Return a mean with its interval, where it has one."""
    if math.isnan(estimate.low):
        return signed(estimate.mean)
    return f"{signed(estimate.mean)} (95 % interval {signed(estimate.low)} to {signed(estimate.high)})"


def unsigned(change: Estimate) -> Estimate:
    """Return a change that is said to be up or down."""
    if change.mean >= 0:
        return change
    return replace(change, mean=-change.mean, low=-change.high, high=-change.low)


def p_text(p: float) -> str:
    """Return a p as a sentence names it.

    >>> p_text(0.0004), p_text(0.0421), p_text(float("nan"))
    ('p < .001', 'p = .042', 'too few for a p')
    """
    if math.isnan(p):
        return "too few for a p"
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")


def too_few_to_rank(n: int) -> str:
    """Return what so few networks cannot show by a rank correlation."""
    return (
        f"With {n} networks no rank correlation can have p ≤ .05, whatever it is: the numbers describe these networks "
        "and show nothing about others."
    )


def spans(numbers: Sequence[int]) -> str:
    """Return ascending numbers as text; three or more in a row become one part.

    >>> spans([0, 1, 2, 5, 6])
    '0–2, 5, 6'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(
        f"{part[0]}–{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts
    )
