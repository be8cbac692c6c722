"""Scores of one run: tidy rows, the generalization index g, metric names, and the CSV file that holds them.

A row is one number: at `step`, on `split`, for `layer`, by `probe`. Layer -1 is the baseline `input` (raw pixels
through the same probes), layer -2 the classification `head` with its accuracy on the seen classes. Both are written
beside the layers and never count towards g.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from pathlib import Path

from unseen.atomic_files import write_text
from unseen.probe_table import SCORES
from unseen.regular_files import MEBIBYTE, read_text
from unseen.selector_table import Selector

SPLITS = ("unseen", "seen")
INPUT_LAYER = -1
INPUT_NAME = "input"
HEAD_LAYER = -2
HEAD_NAME = "head"
ACCURACY = "accuracy"
# Probes that say how far the NMI can be trusted: rows of scores.csv and of the report, no curves of their own.
CHANCE_PROBE = "nmi_chance"
NOISE_FLOOR_PROBE = "nmi_start_sd"
ENSEMBLE_PROBE = "ensemble_nmi"  # of a layer and all deeper ones together
# Agreement of k-means clusters with the colours of a cue (`data.cue_agreement`) instead of the classes.
CUE_PROBES = {"nmi": "cue_nmi", "ami": "cue_ami"}
_DESTROYED = "nmi_noise_"
LARGEST_FILE = 256 * MEBIBYTE  # four million rows


@dataclass(frozen=True, slots=True)  # a long run has hundreds of thousands
class Score:
    """One number of one layer.

    Attributes:
        step: Optimiser steps done when the embeddings were taken; 0 is before training.
        epoch: Passes over the seen training images that had been started.
        split: "unseen" or "seen" (test images of the seen classes).
        layer: 0 for the shallowest layer .. L-1; -1 for the baseline on raw pixels, -2 for the head.
        layer_name: Module path of the layer in the backbone, or "input", or "head".
        depth: layer / (L-1), 0..1; None for the baseline and the head.
        probe: Name of the score, one of `unseen.probe_table.SCORES`, `destroyed_probe` or `CUE_PROBES`, or
            `ENSEMBLE_PROBE`; "accuracy" for the head.
        value: Its value; NaN where the probe is undefined.
    """

    step: int
    epoch: int
    split: str
    layer: int
    layer_name: str
    depth: float | None
    probe: str
    value: float


COLUMNS = tuple(field.name for field in fields(Score))


@dataclass(frozen=True)
class Generalization:
    """The generalization index of one network at one step (arXiv 2402.14095, arXiv 2405.01524).

    Attributes:
        step: Optimiser steps done.
        g: Largest NMI of the unseen classes over the layers, 0..1.
        best_layer: The layer that reached it; the shallowest where several tie.
        best_layer_name: Its module path.
        best_depth: Its normalised depth, 0..1.
        num_layers: L, the layers that were scored.
    """

    step: int
    g: float
    best_layer: int
    best_layer_name: str
    best_depth: float
    num_layers: int


def metric_name(split: str, what: str, layer: int | None = None, layer_name: str = "") -> str:
    """Return the name under which loggers, report and tests know a number.

    >>> metric_name("unseen", "nmi", 3, "blocks.2")
    'unseen/nmi/03_blocks.2'
    >>> metric_name("seen", "accuracy")
    'seen/accuracy'
    """
    if layer is None:
        return f"{split}/{what}"
    if layer == INPUT_LAYER:
        return f"{split}/{what}/{INPUT_NAME}"
    return f"{split}/{what}/{layer:02d}_{layer_name}"


def destroyed_probe(level: float) -> str:
    """Return the probe under which the NMI of images with this share of noise stands.

    >>> destroyed_probe(0.25), destroyed_probe(1), destroyed_probe(1e-5)
    ('nmi_noise_0.25', 'nmi_noise_1', 'nmi_noise_0.00001')
    """
    return f"{_DESTROYED}{Decimal(repr(float(level))).normalize():f}"


def destroyed_level(probe: str) -> float | None:
    """Return the share of noise in the images of a probe, None for a probe of images as they are.

    >>> destroyed_level("nmi_noise_0.25"), destroyed_level("nmi"), destroyed_level("nmi_noise_x")
    (0.25, None, None)
    """
    try:
        return float(probe.removeprefix(_DESTROYED)) if probe.startswith(_DESTROYED) else None
    except ValueError:
        return None


def is_control(probe: str) -> bool:
    """Whether a score says how far the NMI can be trusted, instead of how well classes separate."""
    return (probe in SCORES and SCORES[probe].control) or destroyed_level(probe) is not None


class ScoreTable:
    """All scores of one run, ordered as they were added."""

    def __init__(self, rows: Iterable[Score] = ()) -> None:
        self._rows: list[Score] = list(rows)

    def __iter__(self) -> Iterator[Score]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def steps(self) -> list[int]:
        """Steps that have scores, ascending."""
        return sorted({row.step for row in self._rows})

    def put(self, rows: Iterable[Score]) -> None:
        """Add rows; a step that was there before is replaced (a resumed run probes its first step again)."""
        new = list(rows)
        steps = {row.step for row in new}
        self._rows = [row for row in self._rows if row.step not in steps] + new

    def drop_after(self, step: int) -> None:
        """Forget the rows of later steps: a run that resumes at `step` will write them anew."""
        self._rows = [row for row in self._rows if row.step <= step]

    def at(
        self, step: int, split: str | None = None, probe: str | None = None, layer: int | None = None
    ) -> list[Score]:
        """Return the rows of one step, narrowed to a split, a probe or a layer."""
        return [
            row
            for row in self._rows
            if row.step == step
            and (split is None or row.split == split)
            and (probe is None or row.probe == probe)
            and (layer is None or row.layer == layer)
        ]

    def generalization(self, step: int | None = None) -> Generalization | None:
        """Return g and the best layer at `step` (default: the last step); None before the first scoring.

        Raises:
            ValueError: No layer has a finite NMI at this step.
        """
        if not self._rows:
            return None
        step = self.steps[-1] if step is None else step
        layers = [row for row in self.at(step, "unseen", "nmi") if row.layer > INPUT_LAYER]
        finite = [row for row in layers if math.isfinite(row.value)]
        if not finite:
            raise ValueError(f"no layer has a finite NMI on the unseen classes at step {step}")
        best = max(finite, key=lambda row: (row.value, -row.layer))
        assert best.depth is not None
        return Generalization(step, best.value, best.layer, best.layer_name, best.depth, len(layers))

    def choice(self, selector: Selector, step: int | None = None) -> Score | None:
        """Return the row of the layer that a selector chooses at `step` (default: the last step).

        The shallowest of several; None where no layer has a finite score of it.
        """
        if not self._rows:
            return None
        rows = self.at(self.steps[-1] if step is None else step, selector.split, selector.row)
        layers = [row for row in rows if row.layer > INPUT_LAYER and math.isfinite(row.value)]
        sign = 1 if selector.larger_is_better else -1
        return max(layers, key=lambda row: (sign * row.value, -row.layer), default=None)

    def write(self, path: Path) -> None:
        """Write the table as CSV, whole or not at all."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self._rows:
            # repr keeps every bit of a float, so reading back gives equal rows
            writer.writerow(
                "" if cell is None else repr(cell) if isinstance(cell, float) else cell
                for cell in astuple(row)
            )
        write_text(path, text.getvalue())

    @classmethod
    def read(cls, path: Path) -> ScoreTable:
        """Return the table of a CSV file that `write` made.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no regular file, or no such table; file and line are named.
        """
        text = read_text(path, LARGEST_FILE)
        try:
            return cls.parse(text)
        except ValueError as error:
            raise ValueError(f"{path}, {error}") from error

    @classmethod
    def parse(cls, text: str) -> ScoreTable:
        """Return the table of the text that `write` made.

        Raises:
            ValueError: It has other columns, or a row is cut or holds what is no number; the line is named.
        """
        reader = csv.reader(
            io.StringIO(text, newline="")
        )  # by position: a dictionary a row takes longer than the row
        try:
            header = next(reader, [])
            if tuple(header) != COLUMNS:
                raise ValueError(f"has the columns {header}, expected {list(COLUMNS)}")
            return cls(
                Score(
                    int(step), int(epoch), split, int(layer), name, float(depth) if depth else None,
                    probe, float(value),
                )
                for step, epoch, split, layer, name, depth, probe, value in reader
            )  # fmt: skip
        except (ValueError, csv.Error) as error:
            raise ValueError(f"line {reader.line_num}: {error}") from error
