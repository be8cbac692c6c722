"""How often a study of transfer.py claims what is not there, and whether its intervals hold.

    python benchmarks/transfer_lines.py        about 10 min on one core; --repeats 50 shows what comes out

Makes up tasks whose truth is known, asks the functions of `unseen.reporting.transfer`, and counts. Prints the tables that
stand in benchmarks/README.md. Measures are correlated as those of a run are: sixteen of three factors, six of them
log-normal, the IIMM the mean of two. Gain and forgetting of five techniques share what a task does to all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # a checkout needs no installation

import numpy as np  # noqa: E402
from scipy.stats import f  # noqa: E402

from unseen.reporting.statistics import explained, kendall  # noqa: E402
from unseen.reporting.statistics.claims import SIGNIFICANT  # noqa: E402
from unseen.reporting.statistics.least_squares import fit, left_out_errors  # noqa: E402
from unseen.reporting.statistics.shuffles import orders, share_reaching  # noqa: E402
from unseen.reporting.transfer.lines import PRIMARY, judge, p_by_order  # noqa: E402
from unseen.reporting.transfer.points import Point  # noqa: E402
from unseen.reporting.transfer.techniques import compare_techniques  # noqa: E402

REPEATS = 1000  # a rate of .05 is then known to ± .014
SHARE = 0.4  # of the repeats, for whole studies: .05 is known to ± .021
SHAPES = ("normal", "skewed", "heavy tails", "skewed x", "unequal")
TRUE_R2 = (0.0, 0.5, 0.9)
MEASURES, TECHNIQUES, OUTCOMES = 16, 5, 2
RESAMPLES = 599
LARGE = 400_000  # points that tell the true tau and R²
Rng = np.random.Generator


# ------------------------------------------------------------------ made-up tasks
def noise(rng: Rng, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return errors of mean 0 and standard deviation 1: normal, skewed (exponential) or with heavy tails (t of 4)."""
    if kind == "skewed":
        return rng.standard_exponential(shape) - 1
    if kind == "heavy tails":
        return rng.standard_t(4, shape) / np.sqrt(2)
    return rng.standard_normal(shape)


def tasks_in(rng: Rng, kind: str, n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return normal values (*shape, n) of tasks: independent, or in twins that share 80 % of their variance."""
    own = rng.standard_normal((*shape, n))
    if kind != "twins":
        return own
    shared = np.repeat(rng.standard_normal((*shape, (n + 1) // 2)), 2, axis=-1)[..., :n]
    return np.sqrt(0.8) * shared + np.sqrt(0.2) * own


def measures(rng: Rng, kind: str, n: int) -> dict[str, np.ndarray]:
    """Return 16 correlated measures of n tasks."""
    table = tasks_in(rng, kind, n, (3,)).T @ rng.standard_normal((3, MEASURES)) + rng.standard_normal(
        (n, MEASURES)
    )
    table[:, 4::2] = np.exp(table[:, 4::2] / 2)
    found = {f"measure {number}": column for number, column in enumerate(table.T)}
    return found | {PRIMARY: (table[:, 1] + table[:, 2]) / 2}


def outcomes(rng: Rng, kind: str, n: int) -> np.ndarray:
    """Return (techniques, outcomes, n) of n tasks that have nothing to do with the measures."""
    of_task = tasks_in(rng, kind, n, ()) if kind == "twins" else noise(rng, kind, (n,))
    return of_task + 0.5 * noise(rng, kind, (TECHNIQUES, OUTCOMES, n))


# ------------------------------------------------------------------ claims
def claims(rng: Rng, kind: str, n: int, techniques: int) -> dict[str, float]:
    """Return whether a study without any relation claims a line, and names a technique."""
    x, y = measures(rng, kind, n), outcomes(rng, kind, n)[:techniques]
    named = [(name, x[name], one) for of in y for one in of for name in x]
    p = [p_by_order(values, one) for _, values, one in named]
    said = [may for _, may in judge([name for name, _, _ in named], p)]
    best = any(one.written for one in compare_techniques(points_of(y))[1])
    r2 = max(np.corrcoef(values, one)[0, 1] ** 2 for _, values, one in named)
    return {
        "a line": float(any(said)),
        "a technique": float(best),
        "either": float(any(said) or best),
        "any p ≤ .05 by t, uncorrected": float(f.sf(r2 * (n - 2) / (1 - r2), 1, n - 2) <= SIGNIFICANT),
    }


def points_of(y: np.ndarray) -> list[Point]:
    """Return outcomes (techniques, outcomes, n) as the points of a study."""
    return [
        Point(
            "e",
            f"t{technique}",
            f"k{task}",
            {},
            dict(zip(("gain", "mean_change"), of[:, task].tolist(), strict=True)),
            {},
            1,
        )
        for technique, of in enumerate(y)
        for task in range(y.shape[2])
    ]


def tied(rng: Rng, kind: str, n: int, techniques: int) -> dict[str, float]:
    """Return whether one of two equally good techniques is named the best, the others being far worse."""
    y = outcomes(rng, kind, n)[:techniques]
    y[2:] -= 5
    return {"false best": float(any(best.written for best in compare_techniques(points_of(y))[1]))}


def power(rng: Rng, n: int, r2: float, techniques: int) -> dict[str, float]:
    """Return whether a true relation of the IIMM with both outcomes of every technique is claimed for the first one."""
    x = rng.standard_normal(n)
    y = np.sqrt(r2) * x + np.sqrt((1 - r2) / 1.25) * outcomes(rng, "normal", n)[:techniques]
    p = [p_by_order(x, one) for of in y for one in of]
    return {"claimed": float(judge([PRIMARY] * len(p), p)[0][1])}


# ------------------------------------------------------------------ intervals
def pairs(rng: Rng, kind: str, r2: float, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y with a linear relation whose true R² is r2."""
    x = noise(rng, "skewed" if kind == "skewed x" else "normal", shape)
    error = noise(rng, kind, shape)
    if kind == "unequal":  # errors grow with x
        error = error * np.exp(0.5 * x) / np.exp(0.25)
    return x, np.sqrt(r2) * x + np.sqrt(1 - r2) * error


def true_values(kind: str, r2: float) -> tuple[float, float]:
    """Return the true R² and tau."""
    rng = np.random.default_rng(0)
    x, y = pairs(rng, kind, r2, (2, LARGE))
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1] ** 2), float(
        np.sign((x[0] - x[1]) * (y[0] - y[1])).mean()
    )


def intervals(rng: Rng, kind: str, n: int, r2: float, truth: tuple[float, float]) -> dict[str, float]:
    """Return whether the intervals of R², tau, slope and of a forecast hold the truth."""
    x, y = pairs(rng, kind, r2, (n + 1,))
    (x, new_x), (y, new_y) = (x[:-1], x[-1]), (y[:-1], y[-1])
    line = fit(x, y)
    low, high = line.forecast(new_x)
    hits = {"forecast": low <= new_y <= high}
    low, high = line.slope_interval
    hits["slope"] = low <= np.sqrt(r2) <= high
    if n >= explained.FEWEST:
        low, high = explained.interval(float(np.corrcoef(x, y)[0, 1]), n)
        hits["R²"] = low <= truth[0] <= high
        errors = left_out_errors(x, y[orders(n)]).mean(axis=1)
        hits["error p ≤ .05"] = share_reaching(-errors) <= SIGNIFICANT
    if n >= kendall.FEWEST:
        low, high = kendall.interval(kendall.kendall(x, y)[0], n)
        hits["τ"] = low <= truth[1] <= high
    return {name: float(hit) for name, hit in hits.items()}


def bootstrapped(rng: Rng, n: int, r2: float, truth: tuple[float, float]) -> dict[str, float]:
    """Return whether the bootstrap's percentile interval of tau holds the truth, beside ours; normal errors."""
    x, y = pairs(rng, "normal", r2, (n,))
    drawn = rng.integers(0, n, (RESAMPLES, n))
    i, j = np.triu_indices(n, 1)
    of_x, of_y = (np.sign(side[drawn][:, i] - side[drawn][:, j]) for side in (x, y))
    with np.errstate(invalid="ignore"):  # a resample of one point
        taus = (of_x * of_y).sum(axis=1) / np.sqrt((of_x**2).sum(axis=1) * (of_y**2).sum(axis=1))
    low, high = np.nanquantile(taus, [0.025, 0.975])
    ours = kendall.interval(kendall.kendall(x, y)[0], n)
    return {"bootstrap": float(low <= truth[1] <= high), "ours": float(ours[0] <= truth[1] <= ours[1])}


# ------------------------------------------------------------------ tables
def rates(found: Iterator[dict[str, float]]) -> dict[str, float]:
    rows = list(found)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def table(
    title: str, headings: list[str], rows: Iterator[tuple[list[object], Mapping[str, float | str]]]
) -> None:
    print(f"\n{title}\n")
    names: list[str] = []
    for cells, found in rows:
        if not names:
            names = list(found)
            print(f"| {' | '.join([*headings, *names])} |\n|{' --- |' * (len(headings) + len(names))}")
        values = [found.get(name, "–") for name in names]
        shown = [value if isinstance(value, str) else f"{value:.3f}" for value in values]
        print(f"| {' | '.join([*map(str, cells), *shown])} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=REPEATS)
    repeats = parser.parse_args().repeats

    def repeat(one: Callable[..., dict[str, float]], *place: object, share: float = 1) -> dict[str, float]:
        rng = np.random.default_rng(list(map(ord, repr(place))))  # the same draws whichever cells run
        return rates(one(rng, *place) for _ in range(max(1, round(share * repeats))))

    kinds = ("normal", "skewed", "heavy tails", "twins")
    sizes = [("normal", 4, 5), *((kind, n, k) for kind in kinds for n in (6, 9) for k in (1, 5))]
    table(
        "No relation and no difference: share of studies that claim one",
        ["errors", "tasks", "techniques"],
        ((list(size), repeat(claims, *size, share=SHARE)) for size in sizes),
    )
    table(
        "Two equally good techniques, the others far worse: share of studies that name one of the two",
        ["errors", "tasks", "techniques"],
        (
            ([kind, n, k], repeat(tied, kind, n, k, share=SHARE))
            for kind in kinds[:2]
            for n in (6, 9)
            for k in (2, 5)
        ),
    )
    table(
        "A true line: share of studies that claim it",
        ["true R²", "tasks", "techniques"],
        (
            ([r2, n, techniques], repeat(power, n, r2, techniques))
            for r2 in (0.5, 0.9)
            for n in (5, 6, 7, 9, 12)
            for techniques in (1, 5)
        ),
    )
    truths = {(kind, r2): true_values(kind, r2) for kind in SHAPES for r2 in TRUE_R2}

    def at_each_r2(kind: str, n: int) -> dict[str, str]:
        found = [repeat(intervals, kind, n, r2, truths[kind, r2]) for r2 in TRUE_R2]
        return {name: " ".join(f"{one[name]:.3f}" for one in found) for name in found[0]}

    table(
        "Coverage of 95 % intervals where R² is 0, .5 and .9 of normal errors, and how often the error on a task left "
        "out has p ≤ .05",
        ["errors", "tasks"],
        (([kind, n], at_each_r2(kind, n)) for kind in SHAPES for n in (9, 6, 5, 4, 3)),
    )
    table(
        "Coverage of 95 % intervals of Kendall's τ: percentiles of the bootstrap, and ours",
        ["true R²", "true τ", "tasks"],
        (
            ([r2, f"{truth[1]:.2f}", n], repeat(bootstrapped, n, r2, truth))
            for r2 in (0.5, 0.9)
            for truth in [true_values("normal", r2)]
            for n in (5, 6, 7, 9)
        ),
    )


if __name__ == "__main__":
    main()
