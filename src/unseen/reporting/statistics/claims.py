"""Which claims of a page may be written, given how many there are.

A page about layers has *parts*: its contests, the rules that choose a layer, and each study, of which one with a cue is
two. A part corrects its p by Holm for its own tests, and once more for the number of parts (Bonferroni), so that the
page keeps its level and a part needs to know of the others no more than how many they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from unseen.reporting.statistics.intervals import Estimate

SIGNIFICANT = 0.05  # of a claim by itself
OF_A_PAGE = 0.10  # of a page: the probability that any of its claims is false
RULE = f"p ≤ {SIGNIFICANT} and, corrected, ≤ {OF_A_PAGE}"  # as sentences name it
# as tables say it
CORRECTED = "corrected by Holm for all of this table, and for the parts of the page that test"


@dataclass(frozen=True)
class Change:
    """A change with its test."""

    value: Estimate
    p: float  # two-sided; NaN below three units
    corrected: float = math.nan  # for all tests that are counted with it
    written: bool = False  # whether a sentence may say that it is not zero


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the order given; NaN stay NaN and do not count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[place] = largest
    return corrected


def judged(p_values: Sequence[float], families: int = 1) -> list[tuple[float, bool]]:
    """Return for each test of a page, passed or not, its corrected p, and whether its claim may be written.

    A claim needs p ≤ .05 by itself, and ≤ .10 corrected by Holm for all of them and by Bonferroni for the lists that
    the page has. A test without a p (too few units) makes no claim.

    Args:
        p_values: Of all tests.
        families: Of how many such lists the page's claims come; each gets an equal share of its errors.

    >>> judged([0.004, 0.3]), judged([0.004, 0.3], families=2)
    ([(0.008, True), (0.3, False)], [(0.016, True), (0.6, False)])
    """
    corrected = [min(families * page, 1.0) for page in holm(p_values)]  # in this order NaN stays NaN
    return [
        (page, p <= SIGNIFICANT and page <= OF_A_PAGE) for p, page in zip(p_values, corrected, strict=True)
    ]


Test = TypeVar("Test", bound=Any)  # a dataclass with p, corrected and written, as `Change` has them


def with_verdicts(tests: Sequence[Test], families: int = 1) -> list[Test]:
    """Return tests with what `judged` says of each.

    >>> [change.corrected for change in with_verdicts([Change(Estimate(), 0.004), Change(Estimate(), 0.3)])]
    [0.008, 0.3]
    """
    verdicts = judged([test.p for test in tests], families)
    return [replace(test, corrected=p, written=may) for test, (p, may) in zip(tests, verdicts, strict=True)]


def may_be_written(p_values: Sequence[float]) -> list[bool]:
    """Return which claims may be written, by `judged`.

    >>> may_be_written([0.004, 0.04, 0.3, float("nan")])
    [True, True, False, False]
    """
    return [written for _, written in judged(p_values)]
