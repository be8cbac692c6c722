"""One's own networks, from the folders of bias runs, in the form of the published ones."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.biases.networks import BIASES, CUTOFFS, Networks
from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.texts import printable
from unseen.run_state import read_summary
from unseen.wording import listing

_NAMES = {  # of scores.csv, and of the published table
    "low_frequency_bias": "low_freq_bias",
    "high_frequency_bias": "high_freq_bias",
    "cb_center_frequency": "cb_center_freq",
    "cb_peak_noise_sensitivity": "cb_peak_noise_sens",
}
_WHOLE = {  # the benchmarks whose mean the published group is; a mean over others has another name
    "id": ("ID", {"imagenet", "imagenet_v2", "imagenet_real"}),
    "robustness": ("Robustness", {"imagenet_a", "imagenet_c", "imagenet_c_bar"}),
    "concepts": ("Concepts", {"imagenet_sketch", "imagenet_r", "stylized"}),
}
_ACCURACY, _ATTACKED, _VALIDATION = "accuracy", "adversarial_accuracy", "imagenet"
_CATEGORY = "own network"
_LARGEST = 64 * MEBIBYTE


@dataclass(frozen=True)
class _Run:
    """What one folder says of one network."""

    name: str
    folder: Path
    values: dict[tuple[str, str], float]  # by measure and images
    groups: dict[str, float]  # accuracies in percent, and g
    curves: dict[str, list[float]]


def own_networks(folders: Sequence[Path]) -> Networks:
    """Return the networks of bias runs: a network for each folder and model in its scores.csv.

    A bias has the name of the published one; where it was measured on several sets of images, one column is made of
    each, NAME@IMAGES. A group whose benchmarks are those of the paper has its name, a mean over others names them, such
    as `Robustness (imagenet_c)`; accuracy on a set without a group is a group of the set's name. A network that was
    fine-tuned here also has `g` of its run.

    Args:
        folders: Run folders of `biases.py`, or folders that hold such at any depth.

    Raises:
        ValueError: There is none that has ended; one sentence.
    """
    found = [
        folder
        for root in folders
        for folder in sorted({path.parent for path in root.rglob("scores.csv")})
        if _is_finished(folder)
    ]
    if not found:
        raise ValueError(f"no finished run of biases.py is in {listing(folders) or 'no folder'}")
    return networks_of(list(dict.fromkeys(found)))


def networks_of(folders: Sequence[Path]) -> Networks:
    """Return the networks of run folders, each of them finished; see `own_networks`.

    Raises:
        ValueError: One of them is damaged; one sentence.
    """
    every = [run for folder in folders for run in _read(folder)]
    named = _names([(run.name, run.folder) for run in every])
    measured = dict.fromkeys(
        key for run in every for key in run.values if key[0] not in {_ACCURACY, _ATTACKED}
    )
    sets: dict[str, set[str]] = {}
    for measure, images in measured:
        sets.setdefault(measure, set()).add(images)
    biases = {
        _column(measure, images, sets[measure]): _or_nan(run.values.get((measure, images)) for run in every)
        for measure, images in measured
    }
    order = {name: place for place, name in enumerate(BIASES)}
    groups = dict.fromkeys(group for run in every for group in run.groups)
    return Networks(
        names=tuple(named),
        categories=(_CATEGORY,) * len(named),
        biases=dict(sorted(biases.items(), key=lambda item: order.get(item[0], len(order)))),
        groups={group: _or_nan(run.groups.get(group) for run in every) for group in groups},
        pass_curves={
            kind: np.array([run.curves.get(kind, [math.nan] * len(CUTOFFS)) for run in every])
            for kind in ("low_pass", "high_pass")
        },
    )


def _names(networks: Sequence[tuple[str, Path]]) -> list[str]:
    """Return the names of the networks; where several share one, with the parts of their folders that differ."""
    folders: dict[str, list[tuple[str, ...]]] = {}
    for name, folder in networks:
        folders.setdefault(name, []).append(folder.parts)
    return [
        name if len(folders[name]) == 1 else f"{name} ({_what_differs(folder.parts, folders[name])})"
        for name, folder in networks
    ]


def _what_differs(folder: tuple[str, ...], folders: Sequence[tuple[str, ...]]) -> str:
    """Return one of some paths without the parts at its beginning and end that all of them share."""
    shortest = min(map(len, folders))
    start = min(_number_shared(folders), shortest - 1)
    end = min(_number_shared([parts[::-1] for parts in folders]), shortest - 1 - start)
    return printable("/".join(folder[start : len(folder) - end]))


def _number_shared(paths: Sequence[tuple[str, ...]]) -> int:
    """Return how many parts at the beginning are the same in all paths."""
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))


def _is_finished(folder: Path) -> bool:
    summary = read_summary(folder)
    return summary.get("kind") == "biases" and summary.get("status") == "finished"


def _read(folder: Path) -> list[_Run]:
    scores = _rows(folder / "scores.csv", {"model", "images", "measure", "value"})
    conditions = _rows(folder / "conditions.csv", {"model", "images", "condition", "mean"})
    summary = read_summary(folder)
    runs = []
    for model in dict.fromkeys(row["model"] for row in scores):
        values = {
            (row["measure"], row["images"]): _number(row["value"]) for row in scores if row["model"] == model
        }
        of_model = [row for row in conditions if row["model"] == model]
        try:
            groups = _groups(values, summary)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"the groups in {folder / 'summary.json'} are not as biases.py writes them"
            ) from error
        runs.append(_Run(printable(model, 60), folder, values, groups, _curves(of_model)))
    return runs


def _rows(path: Path, needed: set[str]) -> list[dict[str, str]]:
    try:
        text = read_text(path, _LARGEST)
    except FileNotFoundError:
        return []
    rows = list(csv.DictReader(StringIO(text)))
    missing = needed - set(rows[0] if rows else needed)
    if missing:
        raise ValueError(f"{path} has no column {listing(sorted(missing))}")
    return rows


def _groups(values: dict[tuple[str, str], float], summary: dict[str, Any]) -> dict[str, float]:
    groups: dict[str, float] = {}
    grouped: set[str] = set()
    for key, content in (summary.get("groups") or {}).items():
        benchmarks = set(content["benchmarks"])
        grouped |= benchmarks
        groups[group_name(key, benchmarks)] = 100 * content["accuracy"]
    for (measure, images), value in values.items():
        if measure == _ACCURACY and not any(is_of(images, benchmark) for benchmark in grouped):
            groups[images] = 100 * value
        if measure == _ATTACKED:
            groups["Adversarial" if images == _VALIDATION else f"Adversarial ({images})"] = 100 * value
    if isinstance(summary.get("g"), int | float):
        groups["g"] = float(summary["g"])
    return groups


def group_name(key: str, benchmarks: set[str]) -> str:
    """Return what a group of benchmarks is called: a mean over others than the published ones names them."""
    name, whole = _WHOLE.get(key, (key.capitalize(), set()))
    return name if benchmarks == whole else f"{name} ({', '.join(sorted(benchmarks))})"


def is_of(images: str, benchmark: str) -> bool:
    """Return whether a set is a part of a benchmark, as `imagenet_c-fog-3` is of `imagenet_c`."""
    return images == benchmark or images.startswith(f"{benchmark}-")


def _curves(conditions: Sequence[dict[str, str]]) -> dict[str, list[float]]:
    """Return the ratios of filtered to clean accuracy at the cutoffs, of the first set of images that has them."""
    curves: dict[str, list[float]] = {}
    for images in dict.fromkeys(row["images"] for row in conditions):
        for kind in ("low_pass", "high_pass"):
            of = {row["condition"]: _number(row["mean"]) for row in conditions if row["images"] == images}
            clean = of.get("clean", math.nan)
            filtered = [of.get(f"{kind}_{cutoff:g}", math.nan) for cutoff in CUTOFFS]
            if clean > 0 and kind not in curves and not all(map(math.isnan, filtered)):
                curves[kind] = [value / clean for value in filtered]
    return curves


def _column(measure: str, images: str, sets: set[str]) -> str:
    name = _NAMES.get(measure, measure)
    return name if len(sets) == 1 else f"{name}@{images}"


def _number(text: str | None) -> float:
    """Return the number of a cell; NaN for an empty one, and for one that a cut line lacks."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _or_nan(values: Iterable[float | None]) -> Floats:
    return np.array(list(values), dtype=np.float64)  # None becomes NaN
