"""What is read of a run folder: one record a run, and a line for each folder that is not averaged in.

Legend: R runs (seeds), T steps, L layers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.facts import Facts
from unseen.run_folder import EMBEDDINGS

Floats = NDArray[np.float64]
Key = tuple[str, str]  # (split, probe)


@dataclass(frozen=True, eq=False)
class RunScores:
    """The scores of one run as arrays; NaN where a number is missing or undefined.

    Attributes:
        steps: (T,) optimiser steps at which layers were scored, ascending.
        layer_names: L module paths, shallow to deep.
        depths: (L,) normalised depth, 0..1.
        layers: (T, L) for each split and probe.
        pixels: (T,) for each split and probe: the same probes on raw pixels.
        accuracy: (T,) seen-class accuracy of the head.
    """

    steps: NDArray[np.int64]
    layer_names: tuple[str, ...]
    depths: Floats
    layers: dict[Key, Floats]
    pixels: dict[Key, Floats]
    accuracy: Floats


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run.

    Attributes:
        folder: Where it is.
        name: The folder as shown to a person.
        facts: What summary.json says.
        config: What config.yaml says; empty where there is none.
        scores: What scores.csv says.
    """

    folder: Path
    name: str
    facts: Facts
    config: dict[str, Any]
    scores: RunScores

    @property
    def model(self) -> str:
        """Its network, as typed."""
        return self.facts.model

    @property
    def data(self) -> str:
        """Its data set."""
        return self.facts.data

    @property
    def size(self) -> str:
        """Size: demo or paper."""
        return self.facts.size

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.facts.seed

    @property
    def entry(self) -> str:
        """Which script made it: train or eval."""
        return self.facts.entry

    @property
    def embeddings(self) -> Path | None:
        """Its saved embeddings, None where they were not saved."""
        path = self.folder / EMBEDDINGS
        return path if os.path.lexists(path) else None


@dataclass(frozen=True)
class LeftOut:
    """A folder that no number of the report comes from, and why.

    Attributes:
        name: The folder as shown to a person.
        status: failed, died (its process is gone), unfinished, duplicate, refused (schema) or unreadable.
        reason: One sentence.
        model: As far as it is known, as are `data`, `size` and `seed`.
        data: Data set.
        size: demo or paper.
        seed: Seed.
    """

    name: str
    status: str
    reason: str
    model: str = ""
    data: str = ""
    size: str = ""
    seed: str = ""


@dataclass(frozen=True)
class Collection:
    """All that was found below some folders.

    Attributes:
        runs: Finished runs, each configuration once.
        left_out: Everything else.
    """

    runs: tuple[Run, ...] = ()
    left_out: tuple[LeftOut, ...] = field(default=())
