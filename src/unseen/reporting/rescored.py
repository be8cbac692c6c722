"""Evaluations of a checkpoint whose training run is in the report: the same network must not count twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unseen.reporting.records import Key, LeftOut, Run
from unseen.reporting.settings import flat_settings
from unseen.scores import is_control

# What decides the scores of a network that is there already.
_DECIDING = (
    "probe.",
    "data.",
    "model.pooling",
    "(model)",
    "(data)",
    "(size)",
    "(classes)",
    "(images)",
    "(layers)",
)


def merge_rescored(runs: Sequence[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Take out evaluations that score a network again as its own training run did.

    What such an evaluation measured beyond that (chance, k-means noise, destroyed images) goes to the training run,
    at the step of the checkpoint.

    Returns:
        The runs that count, and the evaluations with their reason.
    """
    kept: dict[Path, Run] = {run.folder.resolve(): run for run in runs}
    left_out = []
    for run in sorted(runs, key=lambda run: run.facts.written or ""):
        folder = _trained_in(run)
        trained = kept.get(folder) if folder else None
        if folder is None or trained is None or not _scored_alike(run, trained):
            continue
        del kept[run.folder.resolve()]
        kept[folder], added = _with_controls_of(run, trained)
        reason = f"it scores a checkpoint of {trained.name} again, which counts already"
        if added:
            reason += f"; its {', '.join(added)} stand with that run"
        left_out.append(LeftOut(run.name, "duplicate", reason, run.model, run.data, run.size, str(run.seed)))
    return list(kept.values()), left_out


def _trained_in(run: Run) -> Path | None:
    checkpoint = run.facts.checkpoint or run.config.get("ckpt_path")
    return Path(checkpoint).resolve().parent.parent if run.entry == "eval" and checkpoint else None


def _scored_alike(run: Run, trained: Run) -> bool:
    if trained.entry != "train" or int(run.scores.steps[-1]) not in trained.scores.steps:
        return False
    return _deciding(run) == _deciding(trained)


def _deciding(run: Run) -> dict[str, str]:
    return {name: value for name, value in flat_settings(run).items() if name.startswith(_DECIDING)}


def _with_controls_of(run: Run, trained: Run) -> tuple[Run, list[str]]:
    """Return the training run with the controls that only the evaluation has, and their names."""
    place = int(np.searchsorted(trained.scores.steps, run.scores.steps[-1]))
    layers, added = dict(trained.scores.layers), set()
    for key, values in run.scores.layers.items():
        if is_control(key[1]) and not _has(trained, key, place):
            filled = layers.get(key, np.full_like(trained.scores.layers["unseen", "nmi"], np.nan)).copy()
            filled[place] = values[-1]
            layers[key] = filled
            added.add(key[1])
    return replace(trained, scores=replace(trained.scores, layers=layers)), sorted(added)


def _has(run: Run, key: Key, place: int) -> bool:
    return key in run.scores.layers and bool(np.isfinite(run.scores.layers[key][place]).any())
