"""Differences of two networks over the same images: the paired bootstrap.

A run of biases.py keeps the values of resamples of its images. The draws depend on the images alone, so the
r-th resample of two networks holds the same images, and its difference is a paired one. Where images share the pictures
that they are made of, these are drawn.

Legend: N images, K numbers of an image, R resamples, V values of a measure.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t

from unseen.reporting.biases.bias_runs import ACCURACY, BiasRun, Key
from unseen.reporting.biases.own_networks import is_of
from unseen.reporting.saved_arrays import array_of, opened_arrays
from unseen.reporting.statistics.claims import with_verdicts
from unseen.reporting.statistics.intervals import CONFIDENCE, Estimate, Floats
from unseen.reporting.texts import one_line
from unseen.run_folder import OBSERVATIONS, RESAMPLES

MOST_NETWORKS = 10  # all pairs of more are too many to be read, and to be tested
FEWEST_DIFFERING = 10  # images; with fewer the bootstrap finds differences of equal networks too often
_DEFINED = 0.99  # share of the resamples that must have a value, as for the interval of one network


@dataclass(frozen=True, eq=False)
class Resampled:
    """What a run keeps of one measure on one set of images."""

    images: str  # a hash: equal for the same images
    measure: str  # with its settings
    values: dict[str, Floats]  # (R,) of each value
    numbers: Floats  # (N, K)
    drawn: int  # images that are drawn with replacement, or pictures that these are made of


@dataclass(frozen=True)
class Difference:
    """Two networks on the same images; NaN where they were not compared."""

    first: str
    second: str
    measure: str
    images: str
    n: int  # images
    differing: int  # of them, those on which the two have other numbers
    value: Estimate  # first minus second
    p: float  # two-sided
    corrected: float = math.nan  # Holm, for all differences
    written: bool = False


def paired_difference(
    first: Floats, second: Floats, found: float, n: int, drawn: int
) -> tuple[Estimate, float]:
    """Return a difference with its percentile interval, and a two-sided p.

    The p is that of t with drawn - 1 degrees of freedom for the standard deviation over resamples, and never less than
    twice the share of resamples beyond zero, so that p <= .05 only where the interval excludes zero.

    Args:
        first: (R,) values of resamples, NaN where there is none.
        second: (R,) of the same resamples.
        found: The difference over all images.
        n: Images.
        drawn: How many images, or pictures that these are made of, are drawn with replacement.
    """
    moved = first - second
    known = moved[~np.isnan(moved)]
    if math.isnan(found) or drawn < 2 or not len(known) or len(known) < _DEFINED * len(moved):
        return Estimate(mean=found, n=n), math.nan
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(known, (tail, 100 - tail))
    error = float(known.std(ddof=1)) * math.sqrt(drawn / (drawn - 1))
    beyond = 2 * min(float((known <= 0).mean()), float((known >= 0).mean()))
    by_t = 2 * float(t.sf(abs(found) / error, drawn - 1)) if error > 0 else 1.0
    return Estimate(found, math.nan, float(low), float(high), n), min(1.0, max(by_t, beyond))


def differences(runs: Sequence[BiasRun], names: Sequence[str]) -> tuple[list[Difference], list[str]]:
    """Return the difference of every pair of networks for each value on the same images, and what cannot be read.

    Accuracies on the parts of a benchmark, such as one corruption, are not compared one by one.

    Args:
        runs: The networks.
        names: What each is called.
    """
    if len(runs) > MOST_NETWORKS:
        why = f"{len(runs)} networks are too many to be compared in pairs; a report on at most {MOST_NETWORKS} does it."
        return [], [why]
    kept: list[dict[Key, Resampled]] = []
    problems: list[str] = []
    for run in runs:
        read, unreadable = _resampled(run)
        kept.append(read)
        problems += unreadable
    rows = [
        row
        for pair in itertools.combinations(range(len(runs)), 2)
        for row in _of_pair(pair, runs, names, kept)
    ]
    return with_verdicts(rows), problems


def _of_pair(
    pair: tuple[int, int], runs: Sequence[BiasRun], names: Sequence[str], kept: Sequence[dict[Key, Resampled]]
) -> Iterator[Difference]:
    first, second = (runs[at] for at in pair)
    one, other = (kept[at] for at in pair)
    if first.trained_alike and first.trained_alike == second.trained_alike:
        return  # two seeds of one network
    for key in [key for key in one if key in other]:
        a, b, (measure, images) = one[key], other[key], key
        alike = [(of.images, of.measure, of.numbers.shape, of.values[measure].shape) for of in (a, b)]
        if alike[0] != alike[1]:
            continue
        n, found = len(a.numbers), first.values[key].mean - second.values[key].mean
        value, p = paired_difference(a.values[measure], b.values[measure], found, n, min(a.drawn, b.drawn))
        differing = int((a.numbers != b.numbers).any(axis=1).sum())
        if differing < FEWEST_DIFFERING:
            value, p = Estimate(mean=found, n=n), math.nan
        yield Difference(names[pair[0]], names[pair[1]], measure, images, n, differing, value, p)


def _resampled(run: BiasRun) -> tuple[dict[Key, Resampled], list[str]]:
    """Return what a run keeps of each of its values, and what cannot be read."""
    folder, problems = run.folder / RESAMPLES, list[str]()
    found: dict[Key, Resampled] = {}
    files = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    benchmarks = {name for group in run.facts.groups.values() for name in group.benchmarks}
    for path in files:
        images = path.stem.rpartition("@")[2]
        part = any(is_of(images, benchmark) and images != benchmark for benchmark in benchmarks)
        if part and path.stem == f"{ACCURACY}@{images}":
            continue
        try:
            kept = _read(path, run.folder / OBSERVATIONS / path.name)
        except FileNotFoundError as error:
            problems.append(f"{run.name}: {Path(str(error.filename)).parent.name}/{path.name} is missing")
            continue
        except (OSError, ValueError) as error:
            problems.append(f"{run.name}: {path.name}: {one_line(error)}")
            continue
        found |= {(name, images): kept for name in kept.values if (name, images) in run.values}
    return found, problems


def _read(resamples: Path, observations: Path) -> Resampled:
    with opened_arrays(resamples) as archive:
        images, measure = (str(array_of(archive, key, "U", 0)) for key in ("images", "measure"))
        names = [str(name) for name in array_of(archive, "names", "U", 1)]
        values = array_of(archive, "values", "f", 2).astype(np.float64)
        drawn = int(array_of(archive, "drawn", "iu", 0))
    with opened_arrays(observations) as archive:
        numbers = array_of(archive, "numbers", "f", 2).astype(np.float64)
    if values.shape[1] != len(names) or not len(numbers):
        raise ValueError(f"it has {len(names)} names for {values.shape[1]} values of {len(numbers)} images")
    return Resampled(images, measure, dict(zip(names, values.T, strict=True)), numbers, drawn)
