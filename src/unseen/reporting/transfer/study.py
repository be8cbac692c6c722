"""Gain and forgetting over tasks, against what was measured before training (arXiv 2407.15731, section 4).

Legend: T tasks of one encoder and technique.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from io import StringIO
from pathlib import Path

import numpy as np
from scipy import stats

from unseen.atomic_files import csv_text, write_text
from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.claims import holm, may_be_written
from unseen.reporting.run_files import read_config
from unseen.reporting.texts import one_line
from unseen.run_state import read_summary
from unseen.settings import effect_of, flatten
from unseen.wording import count, listing

FEWEST_TASKS = 4  # of three a line has one degree of freedom
OUTCOMES = ("gain", "mean_change")
_NOT_MEASURES = {*OUTCOMES, "accuracy_before", "accuracy_after", "accuracy_change"}
_LARGEST = 16 * MEBIBYTE
_SEEDS = {"seed", "data.split_seed"}


@dataclass(frozen=True)
class Point:
    """One task that an encoder was fine-tuned on with a technique, means over its runs.

    Attributes:
        measures: Taken before training, by name.
        outcomes: `gain`, and `mean_change` of the other tasks where there are such; by name.
        changes: Change of accuracy of every task that was tested, by its name.
        runs: How many.
    """

    encoder: str
    technique: str
    task: str
    measures: dict[str, float]
    outcomes: dict[str, float]
    changes: dict[str, float]
    runs: int


@dataclass(frozen=True)
class Line:
    """The least-squares line of an outcome over T tasks against a measure.

    Attributes:
        low: Lower end of the 95 % interval of the slope, t with T - 2 degrees of freedom.
        p: Of the slope, two-sided; `p_adjusted` by Holm, for all lines.
        tau: Kendall's, with its exact p.
        error: Mean absolute error of the line on a task that it was made without.
        error_of_mean: That of the mean of the other tasks, which is what the line must beat.
    """

    encoder: str
    technique: str
    outcome: str
    measure: str
    n: int
    slope: float
    low: float
    high: float
    r2: float
    p: float
    tau: float
    tau_p: float
    error: float
    error_of_mean: float
    p_adjusted: float = math.nan
    may_be_written: bool = False


def read_points(folders: Sequence[Path]) -> list[Point]:
    """Return the tasks of finished runs below folders that have trained.

    Raises:
        ValueError: There is none, one is damaged, or runs of one task were not trained alike.
    """
    found: dict[tuple[str, str, str], list[dict[tuple[str, str], float]]] = defaultdict(list)
    first: dict[tuple[str, str, str], Path] = {}
    for folder in sorted({path.parent for root in folders for path in root.rglob("scores.csv")}):
        summary = read_summary(folder)
        if (summary.get("kind"), summary.get("status")) != ("transfer", "finished"):
            continue
        if summary.get("technique") in (None, "none"):
            continue
        try:
            key = str(summary["model"]), str(summary["technique"]), str(summary["data"])
            rows = csv.DictReader(StringIO(read_text(folder / "scores.csv", _LARGEST)))
            values = {(row["task"], row["measure"]): float(row["value"]) for row in rows if row["value"]}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder} is not as transfer.py writes it ({one_line(error)})") from error
        _check_alike(first.setdefault(key, folder), folder)
        found[key].append({of: value for of, value in values.items() if math.isfinite(value)})
    if not found:
        raise ValueError(f"no finished run of transfer.py that has trained is in {listing(folders)}")
    return [point_of(*key, runs) for key, runs in sorted(found.items())]


def _check_alike(first: Path, other: Path) -> None:
    """Refuse runs whose mean would be of different trainings."""
    one, another = (_settings(folder) for folder in (first, other))
    differing = sorted(name for name in one.keys() | another.keys() if one.get(name) != another.get(name))
    if differing:
        raise ValueError(
            f"{first} and {other} are runs of one task and differ in {listing(differing)}: runs= of a study must name "
            "runs that differ in seed alone"
        )


def _settings(folder: Path) -> dict[str, object]:
    """Return what affects a run's numbers but for its seeds; other tasks do where their images are replayed."""
    try:
        config = read_config(folder / "config.yaml")
    except FileNotFoundError:
        return {}
    left_out = _SEEDS if config.get("replay") else {*_SEEDS, "others"}
    return {
        name: value
        for name, value in flatten(config).items()
        if effect_of(name) == "result" and not {name, name.partition(".")[0]} & left_out
    }


def point_of(encoder: str, technique: str, task: str, runs: Sequence[dict[tuple[str, str], float]]) -> Point:
    """Return a task as means over its runs, each the finite values of a scores.csv by (task, measure)."""
    keys = {key for values in runs for key in values}
    mean = {key: float(np.mean([values[key] for values in runs if key in values])) for key in keys}
    return Point(
        encoder,
        technique,
        task,
        {
            name: value
            for (of, name), value in sorted(mean.items())
            if of == task and name not in _NOT_MEASURES
        },
        {name: value for (_, name), value in mean.items() if name in OUTCOMES},
        {of: value for (of, name), value in sorted(mean.items()) if name == "accuracy_change"},
        len(runs),
    )


def lines(points: Sequence[Point]) -> list[Line]:
    """Return the line of each outcome against each measure, of every encoder and technique with enough tasks."""
    groups: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for point in points:
        groups[point.encoder, point.technique].append(point)
    found = [
        _line(*key, outcome, measure, x, y)
        for key, members in groups.items()
        for outcome in OUTCOMES
        for measure in dict.fromkeys(name for point in members for name in point.measures)
        for x, y in [_pairs(members, measure, outcome)]
        if len(x) >= FEWEST_TASKS and _varies_without_any(x)
    ]
    tested = [line.p for line in found]
    judged = zip(found, holm(tested), may_be_written(tested), strict=True)
    return [replace(line, p_adjusted=p, may_be_written=may) for line, p, may in judged]


def _pairs(members: Iterable[Point], measure: str, outcome: str) -> tuple[list[float], list[float]]:
    known = [
        (point.measures[measure], point.outcomes[outcome])
        for point in members
        if measure in point.measures and outcome in point.outcomes
    ]
    return [x for x, _ in known], [y for _, y in known]


def _varies_without_any(x: Sequence[float]) -> bool:
    """Return whether no single task makes the line: all others at one place."""
    ordered = sorted(x)
    return ordered[0] != ordered[-2] and ordered[1] != ordered[-1]


def _line(
    encoder: str, technique: str, outcome: str, measure: str, x: Sequence[float], y: Sequence[float]
) -> Line:
    n = len(x)
    fit = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, n - 2) * fit.stderr)
    tau = stats.kendalltau(x, y)
    xs, ys = np.asarray(x), np.asarray(y)
    errors, of_mean = [], []
    for at in range(n):
        kept = np.arange(n) != at
        slope, intercept = np.polyfit(xs[kept], ys[kept], 1)
        errors.append(abs(ys[at] - (slope * xs[at] + intercept)))
        of_mean.append(abs(ys[at] - ys[kept].mean()))
    return Line(
        encoder, technique, outcome, measure, n, float(fit.slope), float(fit.slope) - half, float(fit.slope) + half,
        float(fit.rvalue) ** 2, float(fit.pvalue), float(tau.statistic), float(tau.pvalue),
        float(np.mean(errors)), float(np.mean(of_mean)),
    )  # fmt: skip


def transfer_study(folders: Sequence[Path], out: Path) -> list[str]:
    """Write matrix.csv, regressions.csv and summary.txt, and return what they show, in sentences.

    Args:
        folders: Run folders of `transfer.py`, or folders that hold such at any depth.
        out: A folder, made if absent.

    Raises:
        ValueError: No finished run that has trained.
    """
    points = read_points(folders)
    found = lines(points)
    out.mkdir(parents=True, exist_ok=True)
    matrix = [
        (point.encoder, point.technique, point.task, tested, change, point.runs)
        for point in points
        for tested, change in point.changes.items()
    ]
    heading = ("encoder", "technique", "trained_on", "tested_on", "change", "runs")
    write_text(out / "matrix.csv", csv_text(heading, matrix))
    names = [field.name for field in fields(Line)]
    write_text(out / "regressions.csv", csv_text(names, map(astuple, found)))
    sentences = sentences_of(points, found)
    write_text(out / "summary.txt", "\n".join(sentences) + "\n")
    return sentences


def sentences_of(points: Sequence[Point], found: Sequence[Line]) -> list[str]:
    """Return what the lines of some points show, nothing stronger than all of them together allow."""
    tasks = list(dict.fromkeys(point.task for point in points))
    techniques = list(dict.fromkeys(point.technique for point in points))
    runs = count(sum(point.runs for point in points), "run")
    sentences = [f"{runs}: {count(len(tasks), 'task')} ({listing(tasks)}), tuned by {listing(techniques)}."]
    if not found:
        return [
            *sentences,
            f"A line over tasks needs {FEWEST_TASKS} of them at least for one encoder and technique: none is drawn.",
        ]
    shown = [line for line in found if line.may_be_written]
    sentences += [
        f"{line.outcome} goes with {line.measure} over {line.n} tasks ({line.encoder}, {line.technique}): slope "
        f"{line.slope:.3g} [{line.low:.3g}, {line.high:.3g}], R² {line.r2:.2f}, p = {line.p_adjusted:.2g} with all "
        f"{len(found)} lines counted; by their order alone τ = {line.tau:.2f}, p = {line.tau_p:.2g}, not corrected; on "
        f"a task left out the line errs by {line.error:.3f}, the mean by {line.error_of_mean:.3f}."
        for line in shown
    ]
    if shown:
        sentences.append(
            "p of a slope takes the tasks as independent draws that lie around a line by normal errors, which so few "
            "cannot show; by their order alone four tasks never have p ≤ .05. A line over tasks does not say what "
            "another task would do, nor that the measure is the reason."
        )
    else:
        sentences.append(
            f"None of {len(found)} lines of gain or forgetting against a measure is shown with all of them counted "
            "(Holm); that says nothing against a relation, which few tasks cannot show."
        )
    return sentences
