"""A run folder of train.py or eval.py, checked before any number of it is used: it may have been made by anyone."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unseen.reporting.run_files import (
    Facts,
    RunScores,
    Split,
    checked,
    naming,
    read_config,
    read_scores,
    read_split,
)
from unseen.reporting.texts import class_names
from unseen.run_folder import EMBEDDINGS


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run."""

    folder: Path
    name: str  # the folder as shown to a person
    facts: Facts
    config: dict[str, Any]  # empty where there is no config.yaml
    scores: RunScores
    split: Split | None = None  # its classes, where they are known

    @property
    def classes(self) -> str:
        """Short names of its unseen classes, "" where they are not known."""
        return class_names(self.split.unseen) if self.split else ""

    @property
    def embeddings(self) -> Path | None:
        """Its saved embeddings, None where they were not saved."""
        path = self.folder / EMBEDDINGS
        return path if os.path.lexists(path) else None


def read_scored_run(folder: Path, name: str, content: dict[str, Any]) -> Run:
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
        facts = checked(Facts, content)
    with naming("scores.csv"):
        scores = read_scores(folder / "scores.csv", facts)
    with naming("config.yaml"), suppress(FileNotFoundError):
        config = read_config(folder / "config.yaml")
    return Run(folder, name, facts, config, scores, read_split(folder / "split.json"))
