"""Saved embeddings of a run and pictures of them: the first two principal components of a layer.

Legend: N samples, D features.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.run_files import Floats
from unseen.reporting.saved_arrays import array_of, opened_arrays
from unseen.reporting.texts import one_line, printable

_MOST_POINTS = 450
_SEED = 20240501
_MOST_FEATURES = 8192  # wider ones take minutes to draw
_MOST_CLASSES = 10_000


@dataclass(frozen=True)
class Picture:
    """Points of one layer."""

    title: str  # which layer and which run
    points: list[dict[str, Any]]  # rows with x, y and class c
    classes: tuple[str, ...]


def pictures(config: Configuration) -> tuple[list[Picture], str]:
    """Return the pictures of the first, the best and the last layer of one run of a configuration.

    Returns:
        The pictures and "", or none and why.
    """
    saved = [run for run in config.runs if run.embeddings]
    if not saved:
        return [], "embeddings were not saved"
    # each run saves its own best layer: one whose best is the configuration's has the picture that is wanted
    run = next((run for run in saved if run.facts.best_layer == config.g.best_layer), saved[0])
    try:
        return _pictures(run, config), ""
    except (OSError, ValueError) as error:
        return [], f"{run.name}/embeddings.npz cannot be read: {one_line(error)}"


def _pictures(run: Run, config: Configuration) -> list[Picture]:
    assert run.embeddings is not None
    best, own = config.g.best_layer, run.facts.best_layer
    roles = [("first", 0), ("best", best), ("last", config.last_layer)]
    if own is not None and own != best:
        roles.insert(2, ("best of this run", own))
    wanted: dict[int, str] = {}
    for role, layer in roles:
        wanted[layer] = f"{wanted[layer]} and {role}" if layer in wanted else role
    saved = read_embeddings(run.embeddings, wanted)
    names = names_of_classes(run, int(saved.labels.max()) + 1)
    when = "" if saved.step in {None, int(run.scores.steps[-1])} else f", step {saved.step}"
    drawn = []
    for layer, embeddings in saved.layers.items():
        plane, share = principal_plane(embeddings)
        scale = float(np.abs(plane).max()) or 1.0
        points = [
            {"x": round(float(x) / scale, 3), "y": round(float(y) / scale, 3), "c": names[label]}
            for (x, y), label in zip(plane, saved.labels, strict=True)
        ]
        variance = "all images at one point" if math.isnan(share) else f"{share:.0%} of the variance"
        title = f"layer {layer} ({wanted[layer]}), seed {run.facts.seed}{when}, {variance}"
        drawn.append(Picture(title, points, names))
    return drawn


def principal_plane(embeddings: Floats) -> tuple[Floats, float]:
    """Return (N, 2) coordinates on the first two principal components, and the share of variance they hold.

    A component's sign is such that its largest coordinate is positive. Constant embeddings give zeros and NaN.
    """
    centred = embeddings - embeddings.mean(axis=0)  # (N, D)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(centred), 2))
    used = min(2, len(sizes))
    plane[:, :used] = left[:, :used] * sizes[:used]
    signs = np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])
    total = float((sizes**2).sum())
    share = float((sizes[:2] ** 2).sum() / total) if total > 0 else math.nan
    return plane * np.where(signs == 0, 1, signs), share


def _spread_over_classes(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return places of at most 450 samples, equally many of each class as far as they go."""
    classes = np.unique(labels)
    each = max(1, _MOST_POINTS // len(classes))
    rng = np.random.default_rng(_SEED)
    parts = [rng.permutation(np.flatnonzero(labels == label))[:each] for label in classes]
    return np.sort(np.concatenate(parts))


def names_of_classes(run: Run, count: int) -> tuple[str, ...]:
    """Return the names in split.json, or numbers where their count differs."""
    names = run.split.unseen if run.split else []
    if len(names) != count:
        names = [f"class {number}" for number in range(count)]
    return tuple(printable(name, 60) for name in names)


class SavedEmbeddings(NamedTuple):
    """The unseen embeddings of some images of one run."""

    labels: NDArray[np.int64]  # (n,) class of each image, 0..C-1
    step: int | None  # of the evaluation; None where it was not saved
    layers: dict[int, Floats]  # (n, D) of each layer


def read_embeddings(path: Path, layers: Iterable[int]) -> SavedEmbeddings:
    """Return what a run saved of these layers, of at most 450 images.

    Nothing in the file can run code or fill the memory.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not what a run saves.
    """
    with opened_arrays(path) as archive:
        names = set(archive.namelist())
        labels = array_of(archive, "unseen_labels", "iu", 1).astype(np.int64)
        if not len(labels) or not 0 <= labels.min() <= labels.max() < _MOST_CLASSES:
            raise ValueError(f"unseen_labels are not classes of 0 to at most {_MOST_CLASSES - 1}")
        chosen = _spread_over_classes(labels)
        step = int(array_of(archive, "step", "iu", 0)) if "step.npy" in names else None
        there = [layer for layer in layers if f"unseen_{layer}.npy" in names]
        kept = {layer: _layer(archive, f"unseen_{layer}", len(labels))[chosen] for layer in there}
        return SavedEmbeddings(labels[chosen], step, kept)


def _layer(archive: zipfile.ZipFile, key: str, num_samples: int) -> Floats:
    array: Floats = array_of(archive, key, "f", 2).astype(np.float64)
    if len(array) != num_samples or not 1 <= array.shape[1] <= _MOST_FEATURES:
        raise ValueError(f"{key} has the shape {array.shape}, there are {num_samples} samples")
    if not np.isfinite(array).all():
        raise ValueError(f"{key} has a number that is not finite")
    return array
