"""The folder of one run: what it was, what it found, how it ended. Readable without this package."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from unseen.atomic_files import write_file, write_json, write_text
from unseen.scores import ENSEMBLE_PROBE, HEAD_LAYER, INPUT_LAYER, SPLITS, Generalization, Score, ScoreTable
from unseen.selector_table import ROWS, SELECTORS

SCHEMA = 1  # of summary.json and scores.csv; raised when a reader of the old files would go wrong
EMBEDDINGS = "embeddings.npz"
OBSERVATIONS, RESAMPLES = "observations", "resamples"  # folders of a run of biases.py
Status = Literal["running", "finished", "failed"]


@dataclass(frozen=True)
class Scoring:
    """What one evaluation found.

    Attributes:
        step: Optimiser steps done.
        epoch: Passes over the seen training images begun.
        seen_accuracy: Share of the seen test images that the head names right, 0..1; None where the head was
            not trained on these classes.
        scores: A row a split, layer and probe.
        seconds: What the evaluation took, seen pass included.
    """

    step: int
    epoch: int
    seen_accuracy: float | None
    scores: list[Score]
    seconds: float


class RunFolder:
    """Writes config.yaml, split.json, scores.csv, summary.json, embeddings.npz; every file is whole at any moment.

    Args:
        path: The folder; made if absent.
        facts: What is known before the run (model, data, size, seed, ...); it opens summary.json. `recommended_by`, the
            name of a selector, chooses the layer that summary.json recommends.
        writes: False on all processes of a run but the first.
    """

    def __init__(self, path: Path, facts: dict[str, Any], *, writes: bool = True) -> None:
        self.path = path
        self._writes = writes
        self.table = ScoreTable()
        self._facts = dict(facts)
        self._found: dict[str, Any] = {}
        self._began = time.monotonic()
        self._seconds_before = 0.0
        self._probing_seconds = 0.0
        if writes:
            path.mkdir(parents=True, exist_ok=True)

    @property
    def scores_path(self) -> Path:
        """Where the tidy rows are."""
        return self.path / "scores.csv"

    @property
    def summary_path(self) -> Path:
        """Where the answer is."""
        return self.path / "summary.json"

    def add_facts(self, **facts: Any) -> None:
        """Add to what summary.json says of the run itself."""
        self._facts.update(facts)

    def write_inputs(self, config_yaml: str, split: dict[str, Any]) -> None:
        """Write what the run was asked to do: the resolved configuration and the classes."""
        if not self._writes:
            return
        write_text(self.path / "config.yaml", config_yaml)
        write_json(self.path / "split.json", split)

    def continue_from(self, table: ScoreTable, step: int, seconds: float) -> None:
        """Keep the scores of the run that is resumed, up to the step of its checkpoint."""
        self.table = table
        self._seconds_before = seconds
        self.keep_until(step)

    def keep_until(self, step: int) -> None:
        """Let go of scores after `step`: no checkpoint belongs to them."""
        self.table.drop_after(step)
        best = self.table.generalization()
        if best is None:
            self._found = {}
        elif best.step != self._found.get("steps"):
            (head,) = self.table.at(best.step, layer=HEAD_LAYER) or (None,)
            self._found = self._findings(best, None if head is None else head.value)
        if self._writes:
            self.table.write(self.scores_path)

    def record(self, scoring: Scoring) -> Generalization:
        """Add an evaluation to scores.csv and bring summary.json up to date."""
        self.table.put(scoring.scores)
        self._probing_seconds += scoring.seconds
        best = self.table.generalization(scoring.step)
        assert best is not None
        self._found = self._findings(best, scoring.seen_accuracy)
        self.table.write(self.scores_path)
        self.write_summary("running")
        return best

    def write_embeddings(self, write: Callable[[BinaryIO], object]) -> None:
        """Replace embeddings.npz by what `write` puts into a file.

        Raises:
            OSError: The disk is full or read-only; the file of the evaluation before is still there.
        """
        if self._writes:
            write_file(self.path / EMBEDDINGS, write)

    @property
    def summary(self) -> dict[str, Any]:
        """What is known of the run and what it found so far."""
        return self._facts | self._found

    def write_summary(self, status: Status, reason: str | None = None) -> None:
        """Write summary.json with this status; `reason` says in a sentence why a run failed."""
        if not self._writes:
            return
        now = time.monotonic() - self._began
        content = {"schema": SCHEMA, "status": status, "reason": reason} | self.summary
        content["seconds"] = round(self._seconds_before + now, 3)
        content["probing_seconds"] = round(self._probing_seconds, 3)
        content["written"] = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(self.summary_path, content)

    def _findings(self, best: Generalization, seen_accuracy: float | None) -> dict[str, Any]:
        rows = self.table.at(best.step)
        found: dict[str, Any] = {
            "g": best.g,
            "best_layer": best.best_layer,
            "best_layer_name": best.best_layer_name,
            "best_depth": best.best_depth,
            "num_layers": best.num_layers,
            "seen_accuracy": seen_accuracy,
            "steps": best.step,
            "epochs": rows[0].epoch,
        }
        if selector := self._facts.get("recommended_by"):
            choice = self.table.choice(SELECTORS[selector], best.step)
            found["recommended_layer"] = choice.layer if choice else None
            found["recommended_layer_name"] = choice.layer_name if choice else None
        for split in SPLITS:
            for row in self.table.at(best.step, split, layer=best.best_layer):
                if row.probe not in (*ROWS, ENSEMBLE_PROBE):
                    found[f"{split}_{row.probe}"] = row.value
            for row in self.table.at(best.step, split, layer=INPUT_LAYER):
                found[f"input_{split}_{row.probe}"] = row.value
        return found
