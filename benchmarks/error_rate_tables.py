"""The tables that error_rates.py makes from its rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unseen.reporting.statistics.design import power

MARKS = ("<!-- error rates -->\n", "<!-- end of error rates -->\n")
Results = list[dict[str, Any]]  # study, place, rates
UNITS, LAYERS = (3, 5, 10), (3, 5, 9, 13)  # with two units nothing is said
WELL_BEHAVED = ("independent", "correlated", "smooth", "opposed")
REPEATS = {  # results of each cell, by study
    "network": 5000, "page": 1500, "table": 10_000, "crossed": 1000, "skewed": 10_000, "association": 300, "power": 10_000,
}  # fmt: skip
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
    ("training changes g, where it changes nothing; layers equal", "training flat"),
    ("… neighbours .5 sd below the best", "training hill"),
    ("… one layer 2 sd above the others", "training peak"),
)
PAGES = (
    ("**should be ≤ .10:** 26 tests of a contest of five networks say anything false; layers equal", "page", "nothing"),
    ("… one layer 2 sd above the others in each network", "page", "peaks"),
    ("… two of the five are better and have a peak", "page", "two"),
    ("a page of a contest, a study and rules that choose a layer; layers equal", "page of three parts", "nothing"),
    ("… one layer 2 sd above the others in each network", "page of three parts", "peaks"),
    ("… two of the five are better and have a peak", "page of three parts", "two"),
    ("… layers equal, if the parts did not share the errors of the page", "three parts, each by itself", "nothing"),
    ("… one layer 2 sd above the others, if they did not", "three parts, each by itself", "peaks"),
)  # fmt: skip
MIXTURES = {  # variances of split, seed and residual
    "splits 1, rest ¼": [1.0, 0.0, 0.25],
    "splits 1, seeds ¼, rest ¼": [1.0, 0.25, 0.25],
    "splits 1, seeds 1, rest 1": [1.0, 1.0, 1.0],
    "seeds 1, rest ¼": [0.0, 1.0, 0.25],
    "rest 1": [0.0, 0.0, 1.0],
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
INTERVALS = {"t": "t, as reported", "Johnson": "Johnson's t", "bootstrap-t": "bootstrap-t"}
UNRELATED = (
    ("accuracy and g agree or disagree", "accuracy and g"),
    ("curves (random walks over layers) of two data sets agree or disagree", "curves"),
)
FOUND = (("two networks", "difference"), ("lead over the last layer", "lead"), ("the curve turns", "turning"))


def largest_by_chance(number: int, repeats: int, rate: float = 0.05) -> float:
    """Return what the largest of so many cells with this true rate stays below, or at, with 95 %.

    >>> largest_by_chance(1, 10_000), largest_by_chance(16, 10_000)
    (0.0536, 0.056)
    """
    from scipy.stats import binom

    return float(binom.ppf(0.95 ** (1 / number), repeats, rate)) / repeats


def tables(results: Results) -> str:
    """Return what docs/report.md shows."""
    of_networks = REPEATS["network"]
    column, every = (
        largest_by_chance(len(LAYERS) * len(WELL_BEHAVED) * n, of_networks) for n in (1, len(UNITS))
    )
    told = (
        f"Mean over cells (least–most); {of_networks:,} results in each cell, {REPEATS['page']:,} of pages, "
        f"{REPEATS['crossed']:,} over splits and seeds, {REPEATS['association']:,} over networks. A column over n has a cell "
        f"for each of {len(LAYERS)} numbers of layers (3, 5, 9, 13) and {len(WELL_BEHAVED)} ways in which layers depend on "
        f"each other. Where all are at .05 exactly, the largest of a column is at most {shown([column])} with 95 %, that of a "
        f"row {shown([every])}; of the cells of pages at .10 the largest of a column is at most "
        f"{shown([largest_by_chance(len(WELL_BEHAVED), REPEATS['page'], 0.1)])}."
    )  # fmt: skip
    parts = [
        statements(results),
        bias(results),
        design(results),
        skewed(results),
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
    rows += [[heading, *row("page", name, truth)] for heading, name, truth in PAGES]
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
    sizes = [(splits, seeds) for splits in (3, 5, 10) for seeds in (1, 2, 3, 5)]
    rows = [
        [
            f"{which}; {name}",
            *(shown(rates(results, "table", which, splits, seeds, mixture)) for splits, seeds in sizes),
        ]
        for which in ("over both", "over splits", "Satterthwaite")
        for name, mixture in MIXTURES.items()
    ]
    return markdown(["interval holds the truth; variances", *(f"{s} splits × {t}" for s, t in sizes)], rows)


def skewed(results: Results) -> str:
    """Return the coverage of three intervals of a mean over skewed units."""
    places = [(skewness, n) for skewness in (0.0, 0.5, 1.0, 2.0) for n in UNITS]
    rows = [
        [f"n = {n}, skewness {skewness:g}", *(shown(rates(results, "skewed", name, skewness, n)) for name in INTERVALS)]
        for skewness, n in places
    ]  # fmt: skip
    return markdown(["interval of a mean holds it", *INTERVALS.values()], rows)


def crossed(results: Results) -> str:
    """Return how often each statement over splits and seeds is made or holds."""
    numbers = (2, 3, 5)

    def row(name: str) -> list[str]:
        cells = [cell for cell in results if cell["study"] == "crossed"]
        return [
            shown([cell["rates"][name] for cell in cells if cell["place"][1] == seeds]) for seeds in numbers
        ]

    head = [
        "over splits and seeds; five mixtures of variances as above",
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
        cell["rates"].get(name)
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
