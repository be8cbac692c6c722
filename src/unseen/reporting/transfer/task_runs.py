"""Run folders of transfer.py: what each found, and the settings that say what it may be averaged with."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.run_files import read_config
from unseen.reporting.statistics.intervals import DIFFERENCE, SHARE
from unseen.reporting.texts import one_line
from unseen.run_state import read_summary
from unseen.settings import effect_of, flatten, value_at

OUTCOMES = ("gain", "mean_change")
# where what training does lies: a gain has no lower end, as the zero-shot error that it is a share of may be small
RANGES = {
    "gain": (-math.inf, 1.0),
    "mean_change": DIFFERENCE,
    "accuracy_before": SHARE,
    "accuracy_after": SHARE,
    "accuracy_change": DIFFERENCE,
}
_NOT_MEASURES = {*RANGES}
_LARGEST = 16 * MEBIBYTE
_SEEDS = ("seed", "data.split_seed")
# Neither a seed nor a search makes another task of them; draws is of intervals alone.
_NEVER_COMPARED = {*_SEEDS, "draws", "measure_only"}
_SEARCHED = ("model.optimizer", "epochs", "technique")  # by held-out accuracy, as in arXiv 2407.15731
_NOT_SEARCHED = {"technique._target_", "technique.accumulate"}  # another technique, and a known fault
_OF_THE_TASK = ("data", "encoder", "templates", "class_names")  # what a score before training depends on


@dataclass(frozen=True, eq=False)
class TaskRun:
    """A finished run, as a study over tasks takes it.

    Attributes:
        technique: Empty where nothing was trained.
        seeds: Of the run and of the split of the data.
        settings: All that change the result but for seeds, and the other tasks where these are only tested.
        measures: Taken before training, by name.
        outcomes: `gain` and `mean_change`, as far as they are defined.
        changes: Change of accuracy by task.
        held_out: Accuracy on held-out training images at the best epoch; NaN where none was written.
        written: When, as text that sorts by time.
        at_most: Whether the zero-shot accuracy was 1, of which no gain is defined.
    """

    folder: Path
    encoder: str
    technique: str
    task: str
    seeds: tuple[int, int]
    settings: dict[str, object]
    measures: dict[str, float]
    outcomes: dict[str, float]
    changes: dict[str, float]
    held_out: float
    composed: bool
    written: str
    at_most: bool

    @property
    def searched(self) -> dict[str, object]:
        """The settings that may be chosen by held-out accuracy."""
        return {name: value for name, value in self.settings.items() if _is_searched(name)}

    @property
    def fixed(self) -> dict[str, object]:
        """The settings that runs of one task and technique must share."""
        return {name: value for name, value in self.settings.items() if not _is_searched(name)}

    @property
    def of_the_task(self) -> dict[str, object]:
        """The settings that all runs of one task must share, whatever the technique."""
        return {name: value for name, value in self.settings.items() if _group(name) in _OF_THE_TASK}

    @property
    def of_the_encoder(self) -> dict[str, object]:
        """The settings that all runs of one encoder must share."""
        return {name: value for name, value in self.settings.items() if _group(name) == "encoder"}


def _group(name: str) -> str:
    return name.partition(".")[0]


def _is_searched(name: str) -> bool:
    within = any(name == group or name.startswith(f"{group}.") for group in _SEARCHED)
    return within and name not in _NOT_SEARCHED


def read_task_run(folder: Path) -> TaskRun | None:
    """Return the run in a folder; None where there is no finished run of transfer.py.

    Raises:
        ValueError: It is damaged; one sentence.
    """
    summary = read_summary(folder)
    if (summary.get("kind"), summary.get("status")) != ("transfer", "finished"):
        return None
    try:
        return _read(folder, summary)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder} is not as transfer.py writes it ({one_line(error)})") from error


def _read(folder: Path, summary: dict[str, Any]) -> TaskRun:
    try:
        config = read_config(folder / "config.yaml")
    except FileNotFoundError:
        config = {}
    # replay trains on the others
    left_out = _NEVER_COMPARED if config.get("replay") else {*_NEVER_COMPARED, "others"}
    task, technique = str(summary["data"]), str(summary.get("technique") or "none")
    values, before_training = dict[tuple[str, str], float](), dict[str, float]()
    for row in csv.DictReader(StringIO(read_text(folder / "scores.csv", _LARGEST))):
        of, name, value = row["task"], row["measure"], float(row["value"] or math.nan)
        if math.isfinite(value):
            values[of, name] = value
            if of == task and not row.get("technique") and name not in _NOT_MEASURES:
                before_training[name] = value
    if value_at(config, ("technique", "accumulate")):
        technique += " (accumulate)"  # the published fault: not LoRA, and no setting to choose
    held_out = [float(one) for one in summary.get("held_out_accuracies") or []]
    return TaskRun(
        folder=folder,
        encoder=str(summary["model"]),
        technique="" if technique == "none" else technique,
        task=task,
        seeds=(int(config.get("seed", summary.get("seed", 0))), int(value_at(config, ("data", "split_seed")) or 0)),
        settings={
            name: value
            for name, value in flatten(config).items()
            if effect_of(name) == "result" and not {name, _group(name)} & left_out
        },
        measures=before_training,
        outcomes={name: value for (_, name), value in values.items() if name in OUTCOMES},
        changes={of: value for (of, name), value in values.items() if name == "accuracy_change"},
        held_out=max(held_out, default=math.nan),
        composed=bool(summary.get("composed")),
        written=str(summary.get("written", "")),
        at_most=values.get((task, "accuracy_before")) == 1,
    )  # fmt: skip
