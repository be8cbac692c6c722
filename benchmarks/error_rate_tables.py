"""The tables that error_rates.py makes from its rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unseen.reporting.statistics.design import power

MARKS = ("<!-- error rates -->\n", "<!-- end of error rates -->\n")
Results = list[dict[str, Any]]  # study, place, rates
UNITS, LAYERS = (3, 5, 10), (3, 5, 9, 13)  # with two units nothing is said
WELL_BEHAVED = ("independent", "correlated", "smooth")
# heading, name of the rate
STATEMENTS = (
    ("**should be .95:** interval of a mean holds it", "mean"),
    ("band over layers holds the whole curve", "band"),
    ("interval of cross-fitted g holds the true g; layers equal", "g flat"),
    ("… neighbours .5 sd below the best", "g hill"),
    ("… one layer 2 sd above the others", "g peak"),
    ("**should be ≤ .05:** the best layer is not among the candidates; layers equal", "best excluded flat"),
    ("… neighbours .5 sd below", "best excluded hill"),
    ("a layer leads the last; layers equal", "lead flat"),
    ("… the last and one other equal, 2 sd above the rest", "lead tie"),
    ("… rising curve", "lead rising"),
    ("the curve turns; layers equal", "turning flat"),
    ("… rising curve", "turning rising"),
    ("… one step up of 3 sd", "turning step"),
    ("two equal networks differ (L and 3 layers); layers equal", "difference flat"),
    ("… neighbours .5 sd below the best", "difference hill"),
    ("… one layer 2 sd above the others", "difference peak"),
)
PAGES = (
    ("**should be ≤ .10:** a page of 21 tests on five networks says anything false; nothing is true", False),
    ("… two of the five are better and have a peak", True),
)
MIXTURES = {  # variances of split, seed and residual
    "splits 1, rest ¼": [1.0, 0.0, 0.25],
    "splits 1, seeds ¼, rest ¼": [1.0, 0.25, 0.25],
    "splits 1, seeds 1, rest 1": [1.0, 1.0, 1.0],
    "seeds 1, rest ¼": [0.0, 1.0, 0.25],
}
CROSSED = (
    ("**should be .95:** band over layers holds the whole curve", "band"),
    ("interval of cross-fitted g holds the true g; layers equal", "g flat"),
    ("… neighbours .5 below the best", "g hill"),
    ("**should be ≤ .05:** the best layer is not among the candidates; layers equal", "best excluded flat"),
    ("a layer leads the last; layers equal", "lead flat"),
    ("the curve turns; one step up of 3", "turning step"),
    ("two equal networks differ (L and 3 layers); layers equal", "difference flat"),
    ("… neighbours .5 below the best", "difference hill"),
)
UNRELATED = (
    ("accuracy and g agree or disagree", "accuracy and g"),
    ("curves (random walks over layers) of two data sets agree or disagree", "curves"),
)
FOUND = (("two networks", "difference"), ("lead over the last layer", "lead"), ("the curve turns", "turning"))


def tables(results: Results, repeats: int) -> str:
    """Return what docs/report.md shows."""
    told = (
        f"Mean over cells (least–most); {repeats:,} results in each cell, {repeats // 2} of pages and over splits and "
        "seeds. L = 3, 5, 9, 13."
    )
    parts = [
        statements(results),
        bias(results),
        design(results),
        crossed(results),
        association(results),
        found(results),
    ]
    return "\n\n".join([told, *parts])


def statements(results: Results) -> str:
    """Return how often each statement is made or holds."""

    def row(study: str, name: str, *rest: Any) -> list[str]:
        cells = [
            [rate for kind in WELL_BEHAVED for rate in rates(results, study, name, kind, n, *rest)]
            for n in UNITS
        ]
        cells += [
            [rate for n in UNITS for rate in rates(results, study, name, kind, n, *rest)]
            for kind in ("unequal", "skewed")
        ]
        return [shown(cell) for cell in cells]

    head = ["", *(f"n = {n}" for n in UNITS), "unequal layers", "skewed units"]
    rows = [[heading, *row("network", name)] for heading, name in STATEMENTS]
    rows += [[heading, *row("page", "page", true)] for heading, true in PAGES]
    return markdown(head, rows)


def bias(results: Results) -> str:
    """Return how far g is from the truth where all layers are equal."""
    rows = [
        [
            f"{which}, n = {n}",
            *(f"{rates(results, 'network', f'bias of {which} flat', 'independent', n, layers)[0]:+.2f}" for layers in LAYERS),
        ]
        for which in ("plain g", "cross-fitted g")
        for n in UNITS
    ]  # fmt: skip
    return markdown(
        ["mean error in sd; independent equal layers", *(f"L = {layers}" for layers in LAYERS)], rows
    )


def design(results: Results) -> str:
    """Return the coverage of the intervals over splits and seeds."""
    sizes = [(splits, seeds) for splits in (3, 5) for seeds in (1, 2, 3, 5)]
    rows = [
        [
            f"{which}; {name}",
            *(shown(rates(results, "table", which, splits, seeds, mixture)) for splits, seeds in sizes),
        ]
        for which in ("over both", "over splits")
        for name, mixture in MIXTURES.items()
    ]
    return markdown(["interval holds the truth; variances", *(f"{s} splits × {t}" for s, t in sizes)], rows)


def crossed(results: Results) -> str:
    """Return how often each statement over splits and seeds is made or holds."""
    numbers = (2, 3, 5)

    def row(name: str) -> list[str]:
        cells = [cell for cell in results if cell["study"] == "crossed"]
        return [
            shown([cell["rates"][name] for cell in cells if cell["place"][1] == seeds]) for seeds in numbers
        ]

    head = [
        "over splits and seeds; four mixtures of variances as above",
        *(f"{seeds} seeds" for seeds in numbers),
    ]
    return markdown(head, [[heading, *row(name)] for heading, name in CROSSED])


def association(results: Results) -> str:
    """Return how often unrelated things are said to be related."""
    networks = (5, 6, 7)
    rows = [
        [heading, *(shown(rates(results, "association", name, number)) for number in networks)]
        for heading, name in UNRELATED
    ]
    return markdown(["unrelated", *(f"{number} networks" for number in networks)], rows)


def found(results: Results) -> str:
    """Return how often a true difference of .05 is found."""
    places = [(n, sd) for n in UNITS for sd in (0.02, 0.04)]
    rows = [
        [heading, *(f"{rates(results, 'power', name, n, sd)[0]:.2f}" for n, sd in places)]
        for heading, name in FOUND
    ]
    rows.append(
        ["two networks, by formula", *(f"{power(0.05, sd * math.sqrt(2), n):.2f}" for n, sd in places)]
    )
    return markdown(["true difference of .05 is found", *(f"n = {n}, sd {sd:g}" for n, sd in places)], rows)


def rates(results: Results, study: str, name: str, *place: Any) -> list[float]:
    """Return the rates of the cells whose place begins so."""
    found = [
        cell["rates"][name]
        for cell in results
        if cell["study"] == study and tuple(cell["place"][: len(place)]) == place
    ]
    return [rate for rate in found if rate is not None]


def shown(found: Sequence[float]) -> str:
    """Return mean and range of some cells.

    >>> shown([0.04, 0.06]), shown([0.95]), shown([])
    ('.050 (.040–.060)', '.950', 'none')
    """
    if not found:
        return "none"
    mean, least, most = (
        f"{value:.3f}".removeprefix("0") for value in (sum(found) / len(found), min(found), max(found))
    )
    return f"{mean} ({least}–{most})" if len(found) > 1 else mean


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
