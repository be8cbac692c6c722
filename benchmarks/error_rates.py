"""How often the report's statements are false: python benchmarks/error_rates.py.

Makes up results whose truth is known, asks the report's own functions, and counts. Writes error_rates.json and the table
in docs/report.md; --share .02 shows in half a minute what comes out and keeps nothing. Ten thousand results of a cell are
judged together by many_results.py, the first of each cell by the report's functions, too: where they differ, this ends.

Units are normal with standard deviation 1 in every layer. Layers are independent; correlated (half of the variance is the
unit's); smooth (a random walk over layers); opposed (nine tenths of the variance of the inner layers is a factor of the
unit that raises every other one and lowers the rest); or unequal (correlated, and each layer's standard deviation is drawn
anew, log-normal with .7: the largest of 13 is often ten times the smallest); or skewed (independent, exponential).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # a checkout needs no installation

import numpy as np  # noqa: E402
from scipy.special import stdtrit  # noqa: E402

from benchmarks import many_results as many  # noqa: E402
from benchmarks.error_rate_tables import MARKS, MIXTURES, REPEATS, Results, tables  # noqa: E402
from unseen.reporting.statistics.association import curve_agreement, spearman, spearman_p  # noqa: E402
from unseen.reporting.statistics.best_layer import generalization, lead  # noqa: E402
from unseen.reporting.statistics.claims import SIGNIFICANT, may_be_written  # noqa: E402
from unseen.reporting.statistics.crossfit import difference  # noqa: E402
from unseen.reporting.statistics.intervals import Estimate, Floats, band, estimate  # noqa: E402
from unseen.reporting.statistics.turning import turning  # noqa: E402

RESULTS, PAGE = ROOT / "benchmarks" / "error_rates.json", ROOT / "docs" / "report.md"
UNITS, LAYERS = (2, 3, 5, 10), (3, 5, 9, 13)
KINDS = ("independent", "correlated", "smooth", "opposed")
BREACHES = ("unequal", "skewed")  # of equal spread, of normal units
CHECKED = 2  # of each part of a cell that are put to the report's own functions
AT_ONCE = 500  # results in memory
Rng = np.random.Generator
Hits = dict[str, float]  # statement: 1 or 0 (or a number to be averaged); NaN where none was made
Columns = dict[str, Floats]  # the same of many results


def noise(rng: Rng, kind: str, results: int, n: int, layers: int) -> Floats:
    """Return (B, n, L) deviations of units from their true curve."""
    own = rng.standard_normal((results, n, layers))
    if kind == "skewed":
        return rng.standard_exponential((results, n, layers)) - 1
    if kind == "independent":
        return own
    if kind == "smooth":
        walk: Floats = own.cumsum(axis=2) / np.sqrt(np.arange(1, layers + 1))
        return walk
    factor = rng.standard_normal((results, n, 1))
    if kind == "opposed":
        sign = np.where(np.arange(layers) % 2, 1.0, -1.0)
        sign[[0, -1]] = 0
        opposed: Floats = np.where(sign, math.sqrt(0.1) * own + math.sqrt(0.9) * sign * factor, own)
        return opposed
    halves = math.sqrt(0.5) * (own + factor)
    return halves * rng.lognormal(0, 0.7, (results, 1, layers)) if kind == "unequal" else halves


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


def checked(columns: Mapping[str, Any], by_report: Callable[[int], Hits]) -> Columns:
    """Return the columns as numbers, if the report's own functions say the same of the first results."""
    made = {name: np.asarray(column, dtype=float) for name, column in columns.items()}
    for result in range(min(CHECKED, len(next(iter(made.values()))))):
        for name, hit in by_report(result).items():
            if not np.isclose(made[name][result], hit, atol=1e-9):
                raise AssertionError(f"{name}: {made[name][result]} of many, {hit} by the report")
    return made


# ------------------------------------------------------------------ one network, and two that are equally good
def networks(rng: Rng, results: int, kind: str, n: int, layers: int) -> Columns:
    """Return what is said of one network, of two that are equally good, and of training that changes nothing."""
    one, untrained = (noise(rng, kind, results, n, layers) for _ in range(2))
    two = noise(rng, kind, results, n, 3)

    def by_report(result: int) -> Hits:
        return _network(one[result], untrained[result], two[result])

    if n < 3:
        each = [
            by_report(result) for result in range(min(results, 20))
        ]  # nothing is ever said: see that it is so
        return {name: np.array([hits[name] for hits in each], dtype=float) for name in each[0]}
    x, start, other = one[:, :, None], untrained[:, :, None], two[:, :, None]
    made: dict[str, Any] = {"mean": many.hold(x)[:, 0], "band": many.hold(x, layers).all(axis=1)}
    for shape in ("flat", "hill", "peak"):
        g = many.cross_fits(x + curve(shape, layers))
        made[f"difference {shape}"] = many.differ(g.minus(many.cross_fits(other + curve(shape, 3))))
        made[f"training {shape}"] = many.differ(g.minus(many.cross_fits(start + curve(shape, layers))))
        made[f"g {shape}"] = g.covers_zero
        made[f"bias of cross-fitted g {shape}"] = g.mean
        made[f"bias of plain g {shape}"] = (one.mean(axis=1) + curve(shape, layers)).max(axis=1)
        made[f"best excluded {shape}"] = many.is_excluded(x + curve(shape, layers), layers // 2)
    for shape in ("flat", "tie", "rising"):
        made[f"lead {shape}"] = many.above_last(x + curve(shape, layers)).is_above
    for shape in ("flat", "rising", "step"):
        made[f"turning {shape}"] = many.has_turn(x + curve(shape, layers))
    return checked(made, by_report)


def _network(deviations: Floats, untrained: Floats, second: Floats) -> Hits:
    """Return the same of one result, (n, L) each."""
    n, layers = deviations.shape
    hits = {"mean": covers(estimate(deviations[:, 0]), 0)}
    ends = band(deviations)
    hits["band"] = math.nan if n < 3 else float(all(covers(each, 0) for each in ends))
    for shape in ("flat", "hill", "peak"):
        values, other = deviations + curve(shape, layers), second + curve(shape, 3)
        hits[f"difference {shape}"] = difference(values, other).p <= SIGNIFICANT
        hits[f"training {shape}"] = difference(values, untrained + curve(shape, layers)).p <= SIGNIFICANT
        g = generalization(values)
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


# ------------------------------------------------------------------ a page
PAGE_LAYERS = (3, 5, 9, 13, 13)
PAIRS = list(itertools.combinations(range(5), 2))
TRUTHS = {  # the five networks' curves; a peak is 4 above the others' level where there are both
    "nothing": ["flat"] * 5,
    "peaks": ["peak"] * 5,
    "two": ["peak", "peak", "flat", "flat", "flat"],
}
RULES = 11  # that choose a layer; each against always the last and always the penultimate
PARTS = 3  # of a page: contests, a study, rules that choose a layer


def pages(rng: Rng, results: int, kind: str, n: int, truth: str) -> Columns:
    """Return whether a page on five networks says anything false; and one that has a study and layer rules, too.

    The study compares the first network with each of the others. Where all layers are equal no rule that chooses a
    layer is better than another: each takes layers at random.
    """
    shapes = TRUTHS[truth]
    level = [4.0 * (truth == "two" and shape == "peak") for shape in shapes]
    trained, untrained = (
        [
            noise(rng, kind, results, n, layers)[:, :, None] + curve(shape, layers) + up
            for layers, shape, up in zip(PAGE_LAYERS, shapes, level, strict=True)
        ]
        for _ in range(2)
    )
    accuracy = rng.standard_normal((results, 5))
    chosen = [
        [rng.integers(0, layers, (results, n, 1, 1)) for layers in PAGE_LAYERS] for _ in range(RULES)
    ]  # fmt: skip
    fits, before = ([many.cross_fits(one) for one in networks] for networks in (trained, untrained))
    p = [many.p_of_difference(fits[a].minus(fits[b])) for a, b in PAIRS]
    p += [np.minimum(1, 2 * many.above_last(one).p_above) for one in trained]
    p += [many.p_of_turn(one) for one in trained]
    p += [many.p_of_difference(one.minus(start)) for one, start in zip(fits, before, strict=True)]
    g = np.stack([one.mean for one in fits], axis=1)
    order = np.take_along_axis(g.argsort(axis=1).argsort(axis=1), accuracy.argsort(axis=1), axis=1)
    p.append(np.array([_p_of_order(tuple(ranks)) for ranks in order.tolist()]))
    equal = [level[a] == level[b] for a, b in PAIRS]
    has_none = [shape == "flat" for shape in shapes]  # neither a lead nor a turn
    is_false = np.array([*equal, *has_none, *has_none, *[True] * 6])
    contests = np.stack(p, axis=1)
    study, of_first = contests[:, :4], is_false[:4]
    rules = np.ones((results, 1))
    if truth == "nothing":
        taken = [
            [np.take_along_axis(one, layer, axis=3)[..., 0] for one, layer in zip(trained, of, strict=True)]
            for of in chosen
        ]
        gains = [
            np.mean([mine - one[..., -back] for mine, one in zip(of, trained, strict=True)], axis=0)
            for of in taken
            for back in (1, 2)
        ]
        rules = np.stack([_p_of_mean(gain) for gain in gains], axis=1)

    def says(p_values: Floats, false: Any, families: int) -> Any:
        return (many.may_be_written(p_values, families) & false).any(axis=1)

    made = {
        "page": says(contests, is_false, 1),
        "page of three parts": says(contests, is_false, PARTS)
        | says(study, of_first, PARTS)
        | says(rules, True, PARTS),
        "three parts, each by itself": says(contests, is_false, 1) | says(study, of_first, 1) | says(rules, True, 1),
    }  # fmt: skip

    def by_report(result: int) -> Hits:
        one, start = ([values[result, :, 0] for values in of] for of in (trained, untrained))
        p = [difference(one[a], one[b]).p for a, b in PAIRS]
        p += [lead(network).p for network in one] + [turning(network).p for network in one]
        p += [difference(after, before).p for after, before in zip(one, start, strict=True)]
        p.append(spearman(accuracy[result], g[result]).p)
        said = may_be_written(p)
        return {"page": float(any(claim and false for claim, false in zip(said, is_false, strict=True)))}

    return checked(made, by_report)


@cache
def _p_of_order(ranks: tuple[int, ...]) -> float:
    return spearman(range(5), ranks).p


def _p_of_mean(values: Floats) -> Floats:
    """Return (B,) two-sided p of a mean of zero over (B, n, 1) units, as `layer_choice` has it."""
    mean, error = many.means_with_errors(values[..., None])
    t = np.abs(mean[:, 0]) / np.sqrt(error.units[:, 0])
    return np.asarray(2 * many.stdtr(error.df, -t))


# ------------------------------------------------------------------ splits and seeds
def split_tables(rng: Rng, results: int, splits: int, seeds: int, variances: list[float]) -> Columns:
    """Return whether the intervals of a table of splits and seeds hold the truth."""
    table = _crossed(rng, results, splits, seeds, variances, 1)
    made: dict[str, Any] = {"over splits": many.hold(table.mean(axis=2, keepdims=True))[:, 0]}
    made["over both"] = many.hold(table)[:, 0] if seeds > 1 else np.full(results, np.nan)
    if seeds > 1:
        made["Satterthwaite"] = _satterthwaite(table[..., 0])

    def by_report(result: int) -> Hits:
        one = table[result, ..., 0]
        both = covers(estimate(one), 0) if seeds > 1 else math.nan
        return {"over splits": covers(estimate(one.mean(axis=1)), 0)} | (
            {"over both": both} if seeds > 1 else {}
        )

    return checked(made, by_report)


def _crossed(rng: Rng, results: int, splits: int, seeds: int, variances: list[float], layers: int) -> Floats:
    """Return (B, S, T, L) sums of what splits, seeds and runs do, layers independent."""
    parts = [(results, splits, 1, layers), (results, 1, seeds, layers), (results, splits, seeds, layers)]
    drawn = (
        math.sqrt(variance) * rng.standard_normal(part)
        for variance, part in zip(variances, parts, strict=True)
    )
    table: Floats = sum(drawn, start=np.zeros(layers))
    return table


def _satterthwaite(table: Floats) -> Any:
    """Return (B,) whether the other usual interval of (B, S, T) tables holds zero; the report does not use it.

    The variances of splits, seeds and rest are estimated, none below zero, and their sum has one number of degrees of
    freedom (Satterthwaite 1946).
    """
    s, t = table.shape[1:]
    mean, row, column = table.mean(axis=(1, 2)), table.mean(axis=2), table.mean(axis=1)
    rest = table - row[:, :, None] - column[:, None] + mean[:, None, None]
    ms_split, ms_seed = t * row.var(axis=1, ddof=1), s * column.var(axis=1, ddof=1)
    ms_rest = (rest**2).sum(axis=(1, 2)) / ((s - 1) * (t - 1))
    has_split, has_seed = ms_split > ms_rest, ms_seed > ms_rest
    parts = [
        (has_split * ms_split, s - 1),
        (has_seed * ms_seed, t - 1),
        ((1.0 - has_split - has_seed) * ms_rest, (s - 1) * (t - 1)),
    ]
    total = sum(part for part, _ in parts)
    df = total**2 / sum(part**2 / df for part, df in parts)
    return np.abs(mean) <= stdtrit(df, 0.975) * np.sqrt(total / (s * t))


def crossed_networks(
    rng: Rng, results: int, splits: int, seeds: int, variances: list[float], layers: int
) -> Columns:
    """Return what is said of networks that were run with each seed on each class split."""

    def runs(layers: int) -> Floats:
        return _crossed(rng, results, splits, seeds, variances, layers)

    one, two, climbing = runs(layers), runs(3), runs(layers) + curve("step", layers)
    made: dict[str, Any] = {"turning step": many.has_turn(climbing)}
    for shape in ("flat", "hill"):
        g = many.cross_fits(one + curve(shape, layers))
        made[f"g {shape}"] = g.covers_zero
        made[f"difference {shape}"] = many.differ(g.minus(many.cross_fits(two + curve(shape, 3))))
    made["band"] = many.hold(one, layers).all(axis=1)
    made["best excluded flat"] = many.is_excluded(one, layers // 2)
    made["lead flat"] = many.above_last(one).is_above

    def by_report(result: int) -> Hits:
        table = one[result]
        hits = {"turning step": float(turning(climbing[result]).p <= SIGNIFICANT)}
        for shape in ("flat", "hill"):
            values = table + curve(shape, layers)
            g = generalization(values)
            assert g is not None
            hits[f"g {shape}"] = covers(g.cross_fitted, 0)
            hits[f"difference {shape}"] = float(
                difference(values, two[result] + curve(shape, 3)).p <= SIGNIFICANT
            )
            if shape == "flat":
                hits["best excluded flat"] = float(not g.candidates[layers // 2])
        hits["band"] = float(all(covers(each, 0) for each in band(table)))
        hits["lead flat"] = float(lead(table).p <= SIGNIFICANT)
        return hits

    return checked(made, by_report)


# ------------------------------------------------------------------ skewed units
def skewed_means(rng: Rng, results: int, skewness: float, n: int) -> Columns:
    """Return whether three intervals of a mean hold it: t, Johnson's (1978) t, and bootstrap-t of 999 draws."""
    shape = 4 / skewness**2 if skewness else 0.0
    units = (
        (rng.gamma(shape, size=(results, n)) - shape) / math.sqrt(shape)
        if shape
        else rng.standard_normal((results, n))
    )
    limit = stdtrit(n - 1.0, 0.975)
    mean, sd = units.mean(axis=1), units.std(axis=1, ddof=1)
    third = n / ((n - 1) * (n - 2)) * ((units - mean[:, None]) ** 3).sum(axis=1)
    t = mean * math.sqrt(n) / sd
    johnson = t + (third / (6 * sd**2 * n) + third / (3 * sd**4) * mean**2) * math.sqrt(n) / sd
    drawn = units[:, rng.integers(0, n, (999, n))]  # (B, 999, n)
    apart, spread = drawn.mean(axis=2) - mean[:, None], drawn.std(axis=2, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ordered = np.sort(np.nan_to_num(apart * math.sqrt(n) / spread, posinf=np.inf, neginf=-np.inf), axis=1)
    bootstrap = np.asarray((ordered[:, 24] <= t) & (t <= ordered[:, 974]), dtype=float)
    if (
        n < 5
    ):  # a ninth of the draws are one of three units thrice: their t is infinite, and so are both limits
        bootstrap[:] = np.nan
    made = {"t": np.abs(t) <= limit, "Johnson": np.abs(johnson) <= limit, "bootstrap-t": bootstrap}
    return checked(made, lambda result: {"t": covers(estimate(units[result]), 0)})


# ------------------------------------------------------------------ over networks
def associations(rng: Rng, results: int, networks: int, layers: int) -> Columns:
    """Return what is said of accuracy and g, and of curves on two data sets, that are unrelated."""
    agree, alike = np.zeros(results), np.zeros(results)
    for result in range(results):
        agree[result] = spearman_p(*rng.standard_normal((2, networks))) <= SIGNIFICANT
        walks = rng.standard_normal((2, networks, layers)).cumsum(axis=2)
        p = curve_agreement([_rho(a, b) for a, b in zip(*walks, strict=True)]).p
        alike[result] = p <= SIGNIFICANT
    return {"accuracy and g": agree, "curves": alike}


def _rho(a: Floats, b: Floats) -> float:
    ranks = [values.argsort().argsort() for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def true_differences(rng: Rng, results: int, n: int, sd: float) -> Columns:
    """Return what is found of a true difference, lead and peak of .05; curves like those of a real network."""
    layers = 9
    shape = np.minimum(np.linspace(0.3, 0.7, layers), 0.5)  # rises, then stays
    shape[6] += 0.05
    first = shape + sd * noise(rng, "correlated", results, n, layers)[:, :, None]
    second = shape - 0.05 + sd * noise(rng, "correlated", results, n, layers)[:, :, None]
    made = {
        "difference": many.differ(many.cross_fits(first).minus(many.cross_fits(second))),
        "lead": many.above_last(first).is_above,
        "turning": many.has_turn(first),
    }

    def by_report(result: int) -> Hits:
        one, two = first[result, :, 0], second[result, :, 0]
        return {
            "difference": difference(one, two).p <= SIGNIFICANT,
            "lead": lead(one).p <= SIGNIFICANT,
            "turning": turning(one).p <= SIGNIFICANT,
        }

    return checked(made, by_report)


# ------------------------------------------------------------------ cells
class Cell(NamedTuple):
    """One setting of a study."""

    study: str
    place: tuple[Any, ...]


STUDIES: dict[str, Callable[..., Columns]] = {
    "network": networks,
    "page": pages,
    "table": split_tables,
    "crossed": crossed_networks,
    "skewed": skewed_means,
    "association": associations,
    "power": true_differences,
}


def cells() -> Iterator[Cell]:
    """Return everything that is simulated."""
    for place in itertools.product(KINDS + BREACHES, UNITS, LAYERS):
        yield Cell("network", place)
    for place in itertools.product(KINDS + BREACHES, UNITS[1:], TRUTHS):
        yield Cell("page", place)
    for place in itertools.product((3, 5, 10), (1, 2, 3, 5), MIXTURES.values()):
        yield Cell("table", place)
    for place in itertools.product((3, 5), (2, 3, 5), MIXTURES.values(), (5, 13)):
        yield Cell("crossed", place)
    for place in itertools.product((0.0, 0.5, 1.0, 2.0), (3, 5, 10)):
        yield Cell("skewed", place)
    for place in itertools.product((5, 6, 7), LAYERS):
        yield Cell("association", place)
    for place in itertools.product((3, 5, 10), (0.02, 0.04)):
        yield Cell("power", place)


def rates(cell: Cell, repeats: int) -> dict[str, float | None]:
    """Return the share of repeats in which each statement was made or held; None where none was ever made."""
    key = [ord(letter) for letter in json.dumps(cell)]
    rng = np.random.default_rng(key)  # the same draws whichever cells run
    make = partial(STUDIES[cell.study], rng)
    columns = many.in_parts(repeats, AT_ONCE, lambda results: make(results, *cell.place))
    return {
        name: round(float(np.nanmean(values)), 4) if np.isfinite(values).any() else None
        for name, values in columns.items()
    }


def simulate(share: float, workers: int) -> Results:
    """Return the rates of all cells, from this share of their repeats."""
    todo = list(cells())
    repeats = [max(1, round(share * REPEATS[cell.study])) for cell in todo]
    found = []
    with ProcessPoolExecutor(workers) as pool:
        for number, result in enumerate(pool.map(rates, todo, repeats), start=1):
            if number % 20 == 0:
                print(f"{number} of {len(todo)}", file=sys.stderr, flush=True)
            found.append({"study": todo[number - 1].study, "place": todo[number - 1].place, "rates": result})
    return found


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Count how often the report's statements are false.")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the results of each cell; only 1 is kept"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    results = json.loads(json.dumps(simulate(options.share, options.workers)))  # tuples become lists
    print(tables(results))
    if options.share == 1:
        lines = ",\n".join(json.dumps(cell) for cell in results)
        RESULTS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    return 0


def with_tables(text: str, results: Results) -> str:
    """Return the page's text with the tables between its two marks."""
    before, _, rest = text.partition(MARKS[0])
    return f"{before}{MARKS[0]}\n{tables(results)}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"


if __name__ == "__main__":
    sys.exit(main())
