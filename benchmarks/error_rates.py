"""How often the report's statements are false: python benchmarks/error_rates.py.

Makes up results whose truth is known, asks the report's own functions, and counts. Writes error_rates.json and the table
in docs/report.md; --repeats 100 shows in half a minute what comes out and keeps nothing.

Units are normal with standard deviation 1 in every layer. Layers are independent; correlated (half of the variance is the
unit's); smooth (a random walk over layers); or unequal (correlated, and each layer's standard deviation is drawn anew,
log-normal with .7: the largest of 13 is often ten times the smallest); or skewed (independent, exponential).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # a checkout needs no installation

import numpy as np  # noqa: E402

from benchmarks.error_rate_tables import MARKS, MIXTURES, Results, tables  # noqa: E402
from unseen.reporting.statistics.association import curve_agreement, spearman  # noqa: E402
from unseen.reporting.statistics.best_layer import generalization, lead  # noqa: E402
from unseen.reporting.statistics.claims import SIGNIFICANT, may_be_written  # noqa: E402
from unseen.reporting.statistics.crossfit import difference  # noqa: E402
from unseen.reporting.statistics.intervals import Estimate, Floats, band, estimate  # noqa: E402
from unseen.reporting.statistics.turning import turning  # noqa: E402

RESULTS, PAGE = ROOT / "benchmarks" / "error_rates.json", ROOT / "docs" / "report.md"
UNITS, LAYERS = (2, 3, 5, 10), (3, 5, 9, 13)
KINDS = ("independent", "correlated", "smooth")
BREACHES = ("unequal", "skewed")  # of equal spread, of normal units
REPEATS = 1000  # a rate of .05 or .95 is then known to ± .014 in each cell, to ± .004 over twelve
Rng = np.random.Generator
Hits = dict[str, float]  # statement: 1 or 0 (or a number to be averaged); NaN where none was made


def noise(rng: Rng, kind: str, n: int, layers: int) -> Floats:
    """Return (n, L) deviations of units from their true curve."""
    own = rng.standard_normal((n, layers))
    if kind == "skewed":
        return rng.standard_exponential((n, layers)) - 1
    if kind == "independent":
        return own
    if kind == "smooth":
        walk: Floats = own.cumsum(axis=1) / np.sqrt(np.arange(1, layers + 1))
        return walk
    halves = math.sqrt(0.5) * (own + rng.standard_normal((n, 1)))
    return halves * rng.lognormal(0, 0.7, layers) if kind == "unequal" else halves


def curve(shape: str, layers: int) -> Floats:
    """Return (L,) a true curve whose largest value is 0."""
    place = np.arange(layers)
    return {
        "flat": np.zeros(layers),
        "peak": np.where(place == layers // 2, 0.0, -2.0),
        "hill": -0.5 * np.abs(place - layers // 2),
        "tie": np.where((place == layers // 2) | (place == layers - 1), 0.0, -2.0),
        "rising": 0.5 * (place - layers + 1.0),
        "step": np.where(place > layers // 2, 0.0, -3.0),
    }[shape]


def covers(found: Estimate, truth: float) -> float:
    """Return whether an interval holds the truth; NaN without one."""
    return math.nan if math.isnan(found.low) else float(found.low <= truth <= found.high)


# ------------------------------------------------------------------ one made-up result
def one_network(rng: Rng, kind: str, n: int, layers: int) -> Hits:
    """Return what is said of one network, and of two that are equally good."""
    deviations = noise(rng, kind, n, layers)
    hits = {"mean": covers(estimate(deviations[:, 0]), 0)}
    ends = band(deviations)
    hits["band"] = math.nan if n < 3 else float(all(covers(each, 0) for each in ends))
    for shape in ("flat", "hill", "peak"):
        other = noise(rng, kind, n, 3) + curve(shape, 3)
        hits[f"difference {shape}"] = difference(deviations + curve(shape, layers), other).p <= SIGNIFICANT
        g = generalization(deviations + curve(shape, layers))
        assert g is not None
        hits[f"g {shape}"] = covers(g.cross_fitted, 0)
        hits[f"bias of cross-fitted g {shape}"] = g.cross_fitted.mean
        hits[f"bias of plain g {shape}"] = g.plain.mean
        hits[f"best excluded {shape}"] = float(not g.candidates[layers // 2])
    for shape in ("flat", "tie", "rising"):
        hits[f"lead {shape}"] = lead(deviations + curve(shape, layers)).p <= SIGNIFICANT
    for shape in ("flat", "rising", "step"):
        hits[f"turning {shape}"] = turning(deviations + curve(shape, layers)).p <= SIGNIFICANT
    return hits


PAGE_LAYERS = (3, 5, 9, 13, 13)


def one_page(rng: Rng, kind: str, n: int, true: bool) -> Hits:
    """Return whether a page on five networks says anything false; `true`: two of them have a peak and are better."""
    shapes = ["peak", "peak", "flat", "flat", "flat"] if true else ["flat"] * 5
    level = [4.0 if shape == "peak" else 0.0 for shape in shapes]
    networks = [
        noise(rng, kind, n, layers) + curve(shape, layers) + up
        for layers, shape, up in zip(PAGE_LAYERS, shapes, level, strict=True)
    ]
    pairs = list(itertools.combinations(range(5), 2))
    p = [difference(networks[a], networks[b]).p for a, b in pairs]
    p += [lead(network).p for network in networks] + [turning(network).p for network in networks]
    g = [float(network.mean(axis=0).max()) for network in networks]
    p.append(spearman(rng.standard_normal(5), g).p)
    is_false = [level[a] == level[b] for a, b in pairs] + 2 * [shape == "flat" for shape in shapes] + [True]
    said = may_be_written(p)
    return {"page": float(any(claim and false for claim, false in zip(said, is_false, strict=True)))}


def one_table(rng: Rng, splits: int, seeds: int, variances: list[float]) -> Hits:
    """Return whether the intervals of a table of splits and seeds hold the truth."""
    split, seed, residual = (math.sqrt(variance) for variance in variances)
    table = split * rng.standard_normal((splits, 1)) + seed * rng.standard_normal((1, seeds))
    table = table + residual * rng.standard_normal((splits, seeds))
    return {"over both": covers(estimate(table), 0), "over splits": covers(estimate(table.mean(axis=1)), 0)}


def one_crossed(rng: Rng, splits: int, seeds: int, variances: list[float], layers: int) -> Hits:
    """Return what is said of networks that were run with each seed on each class split; layers independent."""

    def runs(shape: str, layers: int) -> Floats:
        parts = [(splits, 1, layers), (1, seeds, layers), (splits, seeds, layers)]
        drawn = (
            math.sqrt(variance) * rng.standard_normal(part)
            for variance, part in zip(variances, parts, strict=True)
        )
        table: Floats = sum(drawn, start=curve(shape, layers))
        return table

    hits = {"turning step": float(turning(runs("step", layers)).p <= SIGNIFICANT)}
    for shape in ("flat", "hill"):
        table = runs(shape, layers)
        g = generalization(table)
        assert g is not None
        hits[f"g {shape}"] = covers(g.cross_fitted, 0)
        hits[f"difference {shape}"] = float(difference(table, runs(shape, 3)).p <= SIGNIFICANT)
        if shape == "flat":
            hits["band"] = float(all(covers(each, 0) for each in band(table)))
            hits["best excluded flat"] = float(not g.candidates[layers // 2])
            hits["lead flat"] = float(lead(table).p <= SIGNIFICANT)
    return hits


def one_association(rng: Rng, networks: int, layers: int) -> Hits:
    """Return what is said of accuracy and g, and of curves on two data sets, that are unrelated."""
    agreement = spearman(*rng.standard_normal((2, networks))).p
    walks = rng.standard_normal((2, networks, layers)).cumsum(axis=2)
    curves = curve_agreement([_rho(a, b) for a, b in zip(*walks, strict=True)]).p
    return {"accuracy and g": agreement <= SIGNIFICANT, "curves": curves <= SIGNIFICANT}


def _rho(a: Floats, b: Floats) -> float:
    ranks = [values.argsort().argsort() for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def one_true_difference(rng: Rng, n: int, sd: float) -> Hits:
    """Return what is found of a true difference, lead and peak of .05; curves like those of a real network."""
    layers = 9
    shape = np.minimum(np.linspace(0.3, 0.7, layers), 0.5)  # rises, then stays
    shape[6] += 0.05
    first = shape + sd * noise(rng, "correlated", n, layers)
    second = shape - 0.05 + sd * noise(rng, "correlated", n, layers)
    return {
        "difference": difference(first, second).p <= SIGNIFICANT,
        "lead": lead(first).p <= SIGNIFICANT,
        "turning": turning(first).p <= SIGNIFICANT,
    }


# ------------------------------------------------------------------ cells
class Cell(NamedTuple):
    """One setting of a study."""

    study: str
    place: tuple[Any, ...]


STUDIES: dict[str, Callable[..., Hits]] = {
    "network": one_network,
    "page": one_page,
    "table": one_table,
    "crossed": one_crossed,
    "association": one_association,
    "power": one_true_difference,
}


def cells() -> Iterator[Cell]:
    """Return everything that is simulated."""
    for place in itertools.product(KINDS + BREACHES, UNITS, LAYERS):
        yield Cell("network", place)
    for place in itertools.product(KINDS + BREACHES, UNITS, (False, True)):
        yield Cell("page", place)
    for place in itertools.product((3, 5), (1, 2, 3, 5), MIXTURES.values()):
        yield Cell("table", place)
    for place in itertools.product((3, 5), (2, 3, 5), MIXTURES.values(), (5, 13)):
        yield Cell("crossed", place)
    for place in itertools.product((5, 6, 7), LAYERS):
        yield Cell("association", place)
    for place in itertools.product((3, 5, 10), (0.02, 0.04)):
        yield Cell("power", place)


def rates(cell: Cell, repeats: int) -> dict[str, float | None]:
    """Return the share of repeats in which each statement was made or held; None where none was ever made."""
    key = [ord(letter) for letter in json.dumps(cell)]
    rng = np.random.default_rng(key)  # the same draws whichever cells run
    if cell.study in ("page", "crossed"):
        repeats //= 2
    if cell.study in ("network", "page") and cell.place[1] == 2:
        repeats = min(repeats, 20)  # nothing is ever said: see that it is so
    found = [STUDIES[cell.study](rng, *cell.place) for _ in range(repeats)]
    columns = {name: np.array([hits[name] for hits in found], dtype=float) for name in found[0]}
    return {
        name: round(float(np.nanmean(values)), 4) if np.isfinite(values).any() else None
        for name, values in columns.items()
    }


def simulate(repeats: int, workers: int) -> Results:
    """Return the rates of all cells."""
    todo = list(cells())
    found = []
    with ProcessPoolExecutor(workers) as pool:
        for number, result in enumerate(pool.map(rates, todo, itertools.repeat(repeats)), start=1):
            if number % 20 == 0:
                print(f"{number} of {len(todo)}", file=sys.stderr, flush=True)
            found.append({"study": todo[number - 1].study, "place": todo[number - 1].place, "rates": result})
    return found


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Count how often the report's statements are false.")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"of each cell; only {REPEATS} are kept")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    results = json.loads(json.dumps(simulate(options.repeats, options.workers)))  # tuples become lists
    print(tables(results, options.repeats))
    if options.repeats == REPEATS:
        lines = ",\n".join(json.dumps(cell) for cell in results)
        RESULTS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    return 0


def with_tables(text: str, results: Results) -> str:
    """Return the page's text with the tables between its two marks."""
    before, _, rest = text.partition(MARKS[0])
    return f"{before}{MARKS[0]}\n{tables(results, REPEATS)}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"


if __name__ == "__main__":
    sys.exit(main())
