"""Pictures of saved embeddings: the first two principal components of a layer.

Legend: N samples, D features.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.analysis import Setting
from unseen.reporting.records import Floats, Run
from unseen.reporting.saved_embeddings import saved_embeddings
from unseen.reporting.texts import printable

_MOST_POINTS = 450
_SEED = 20240501
_LARGEST_SPLIT = 4 * MEBIBYTE


@dataclass(frozen=True)
class Picture:
    """Points of one layer.

    Attributes:
        title: Which layer and which run.
        points: Rows with x, y and class c.
        classes: Names of the classes.
    """

    title: str
    points: list[dict[str, Any]]
    classes: tuple[str, ...]


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
    share = float((sizes[:2] ** 2).sum() / total) if total > 0 else float("nan")
    return plane * np.where(signs == 0, 1, signs), share


def pictures(setting: Setting) -> tuple[list[Picture], str]:
    """Return the pictures of the first, the best and the last layer of one run of a setting.

    Returns:
        The pictures and "", or none and why.
    """
    saved = [run for run in setting.group.runs if run.embeddings]
    if not saved:
        return [], "embeddings were not saved"
    # each run saves its own best layer: one whose best is the setting's has the picture that is wanted
    run = next((run for run in saved if run.facts.best_layer == setting.g.best_layer), saved[0])
    try:
        return _pictures(run, setting), ""
    except (OSError, ValueError) as error:
        return [], f"{run.name}/embeddings.npz cannot be read: {printable(' '.join(str(error).split()))}"


def _pictures(run: Run, setting: Setting) -> list[Picture]:
    assert run.embeddings is not None
    wanted: dict[int, str] = {}
    best, own = setting.g.best_layer, run.facts.best_layer
    roles = [("first", 0), ("best", best), ("last", setting.last_layer)]
    if isinstance(own, int) and own != best:
        roles.insert(2, ("best of this run", own))
    for role, layer in roles:
        wanted[layer] = f"{wanted[layer]} and {role}" if layer in wanted else role
    found = []
    with saved_embeddings(run.embeddings) as saved:
        some = _spread_over_classes(saved.labels)
        names = _class_names(run, int(saved.labels.max()) + 1)
        when = "" if saved.step in {None, int(run.scores.steps[-1])} else f", step {saved.step}"
        for layer, role in wanted.items():
            embeddings = saved.layer(layer)
            if embeddings is None:
                continue
            plane, share = principal_plane(embeddings[some])
            scale = float(np.abs(plane).max()) or 1.0
            points = [
                {"x": round(float(x) / scale, 3), "y": round(float(y) / scale, 3), "c": names[label]}
                for (x, y), label in zip(plane, saved.labels[some], strict=True)
            ]
            said = "all images at one point" if math.isnan(share) else f"{share:.0%} of the variance"
            title = f"layer {layer} ({role}), seed {run.seed}{when}, {said}"
            found.append(Picture(title, points, names))
    return found


def _spread_over_classes(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return places of at most 450 samples, equally many of each class as far as they go."""
    classes = np.unique(labels)
    each = max(1, _MOST_POINTS // len(classes))
    rng = np.random.default_rng(_SEED)
    parts = [rng.permutation(np.flatnonzero(labels == one))[:each] for one in classes]
    return np.sort(np.concatenate(parts))


def _class_names(run: Run, count: int) -> tuple[str, ...]:
    """Return the names in split.json, or numbers where it has not as many."""
    try:
        split = json.loads(read_text(run.folder / "split.json", _LARGEST_SPLIT))
        found = split["unseen"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, list) or len(found) != count:
        found = [f"class {number}" for number in range(count)]
    return tuple(printable(name, 60) for name in found)
