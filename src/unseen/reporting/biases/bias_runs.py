"""A run folder of biases.py, checked before any number of it is used: it may have been made by anyone."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pydantic import Field

from unseen.reporting.biases.networks import CUTOFFS
from unseen.reporting.checked_rows import ROUNDING, MeasuredRow, read_cells, read_checked_rows
from unseen.reporting.run_files import (
    Checked,
    Count,
    FilePath,
    Name,
    Positive,
    RunFacts,
    Share,
    Trained,
    checked,
    naming,
    read_config,
)
from unseen.reporting.statistics.intervals import Estimate
from unseen.settings import effect_of, flatten

ACCURACY = "accuracy"
_COLUMNS = ("model", "images", "measure", "value", "low", "high", "n")
_OF_CONDITIONS = ("images", "condition", "mean")
_OF_THE_SCORING = ("trainer.", "callbacks.", "ckpt_path", "seed")  # settings of the run that measured


class _Group(Checked):
    """The mean accuracy of a group of benchmarks."""

    accuracy: Share
    benchmarks: list[Name]


class BiasFacts(RunFacts):
    """The facts of summary.json that the report uses; the seed is that of training, of a network of the main job."""

    checkpoint: FilePath | None = None
    trained: Trained | None = None
    limit: Positive | None = None
    faithful: bool = False
    missing: dict[Name, str] = Field(default_factory=dict)  # sets of images that are not there, and why
    not_measured: dict[Name, str] = Field(default_factory=dict)  # measures, and why
    groups: dict[Name, _Group] = Field(default_factory=dict)
    g: Share | None = None  # of the run that trained it
    best_layer: Count | None = None


class _Row(MeasuredRow):
    """A row of scores.csv."""

    model: Name
    images: Name
    n: Positive

    @property
    def place(self) -> str:
        """Measure and images."""
        return f"{self.measure} on {self.images}"

    @property
    def wrong(self) -> str:
        """What no run writes."""
        if self.measure == ACCURACY and not all(0 <= number <= 1 + ROUNDING for number in self.known):
            return "an accuracy outside of 0..1"
        return super().wrong


Key = tuple[str, str]  # (measure, images)


@dataclass(frozen=True, eq=False)
class BiasRun:
    """One finished run of biases.py."""

    folder: Path
    name: str  # the folder as shown to a person
    facts: BiasFacts
    config: dict[str, Any]  # empty where there is no config.yaml
    label: str  # the network's name in its tables
    values: dict[Key, Estimate]  # with their 95 % intervals over n images; without a standard deviation
    curves: dict[str, list[float]]  # filtered over clean accuracy at `CUTOFFS`, by low_pass and high_pass

    @property
    def trained_alike(self) -> str:
        """A key that is equal for networks of the main job that differ in their seed alone; "" for all others."""
        trained, config = self.facts.trained, self.config
        if trained is None or not config:
            return ""
        settings = {
            name: value
            for name, value in flatten(config).items()
            if effect_of(name) == "result" and not name.startswith(_OF_THE_SCORING)
        }
        path = PurePath(self.facts.checkpoint or "")
        state = path.name if path.suffix == ".ckpt" else "last.ckpt"
        parts = (self.facts.model, state, trained.data, trained.split_hash, trained.settings, settings)
        return json.dumps(parts, sort_keys=True, default=str)


def read_bias_run(folder: Path, name: str, content: dict[str, Any]) -> BiasRun:
    """Return a finished run.

    Args:
        folder: Where it is.
        name: The folder as shown to a person.
        content: Of its summary.json.

    Raises:
        ValueError: One sentence that names the file.
    """
    config: dict[str, Any] = {}
    with naming("summary.json"):
        facts = checked(BiasFacts, content)
    with naming("scores.csv"):
        rows = _rows(folder / "scores.csv")
    with naming("conditions.csv"):
        curves = _curves(folder / "conditions.csv")
    with naming("config.yaml"), suppress(FileNotFoundError):
        config = read_config(folder / "config.yaml")
    values = {
        (row.measure, row.images): Estimate(row.value, math.nan, row.low, row.high, row.n) for row in rows
    }
    return BiasRun(folder, name, facts, config, rows[0].model, values, curves)


def _rows(path: Path) -> Sequence[_Row]:
    rows = read_checked_rows(path, _Row, _COLUMNS)
    if len({row.model for row in rows}) != 1:
        raise ValueError("it has no rows" if not rows else "it has rows of several networks")
    return rows


def _curves(path: Path) -> dict[str, list[float]]:
    """Return the ratios of filtered to clean accuracy at the cutoffs, of the first set of images that has them."""
    try:
        conditions = read_cells(path, _OF_CONDITIONS)
    except FileNotFoundError:
        return {}
    curves: dict[str, list[float]] = {}
    for images in dict.fromkeys(row.get("images") for row in conditions):
        of = {
            row.get("condition"): _number(row.get("mean"))
            for row in conditions
            if row.get("images") == images
        }
        clean = of.get("clean", math.nan)
        for kind in ("low_pass", "high_pass"):
            filtered = [of.get(f"{kind}_{cutoff:g}", math.nan) for cutoff in CUTOFFS]
            if clean > 0 and kind not in curves and not all(map(math.isnan, filtered)):
                curves[kind] = [value / clean for value in filtered]
    return curves


def _number(text: str | None) -> float:
    """Return the number of a cell; NaN for an empty one, and for one that a cut line lacks."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
