"""What a reader must know of each probe: its name, its definition, where chance lies and where its ceiling.

Legend: R runs (seeds), T steps, L layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unseen.reporting.groups import RunGroup
from unseen.reporting.records import Floats
from unseen.reporting.statistics import neighbor_chance
from unseen.scores import CHANCE_PROBE, NOISE_FLOOR_PROBE, destroyed_level


@dataclass(frozen=True)
class ProbeFacts:
    """A probe as it is shown.

    Attributes:
        name: In scores.csv.
        heading: For people.
        meaning: One sentence.
    """

    name: str
    heading: str
    meaning: str


PROBES = (
    ProbeFacts(
        "nmi",
        "NMI",
        "agreement of k-means clusters with the classes: normalised mutual information, arithmetic mean, 0..1",
    ),
    ProbeFacts("nn1", "NN@1", "share of images whose nearest other image is of the same class"),
    ProbeFacts(
        "nnk",
        "NN@k",
        "share of the k nearest other images that are of the same class; k is the size of the largest unseen class, "
        "so a smaller class cannot reach 1 (the ceiling)",
    ),
    ProbeFacts(
        "r_precision",
        "R-precision",
        "as NN@k, with k the number of other images of the same class: its ceiling is always 1",
    ),
    ProbeFacts(
        "linear_probe",
        "linear probe",
        "accuracy of logistic regression on a fifth of the images, trained on the other four",
    ),
)
HEADINGS = {probe.name: probe.heading for probe in PROBES}


@dataclass(frozen=True, eq=False)
class Reference:
    """A level that a score must be read against.

    Attributes:
        kind: chance, ceiling or pixels.
        values: (L,) the level at each layer, or (1,) where it is the same for all.
        meaning: How it was found.
    """

    kind: str
    values: Floats
    meaning: str


def references(group: RunGroup, split: str, probe: str) -> list[Reference]:
    """Return chance level, ceiling and raw-pixel score of a probe at the last step, as far as they are known."""
    found = []
    chance = _chance(group, split, probe)
    if chance is not None:
        found.append(chance)
    if probe == "nnk":
        ceiling = _last(group, split, "nnk_ceiling")
        if ceiling is not None:
            found.append(Reference("ceiling", ceiling[:1], "mean of min(class size - 1, k) / k"))
    pixels = group.pixels(split, probe)[:, -1]
    if np.isfinite(pixels).any():
        found.append(Reference("pixels", np.array([np.nanmean(pixels)]), "the same probe on the raw pixels"))
    return found


def _chance(group: RunGroup, split: str, probe: str) -> Reference | None:
    facts = group.runs[0].facts
    if probe == "nmi":
        permuted = _last(group, split, CHANCE_PROBE)
        meaning = "the same clustering against permuted labels"
        return None if permuted is None else Reference("chance", permuted, meaning)
    if probe == "linear_probe":
        classes = facts.unseen_classes if split == "unseen" else facts.seen_classes
        if not classes:
            return None
        return Reference("chance", np.array([1 / classes]), "1 / number of classes")
    ceiling = _last(group, split, "nnk_ceiling")
    k = facts.k_seen or facts.k if split == "seen" else facts.k
    images = facts.unseen_images if split == "unseen" else facts.seen_test_images
    if ceiling is None or not k or not images:
        return None
    level = neighbor_chance(float(ceiling[0]), k, images)
    return Reference("chance", np.array([level]), "mean of (class size - 1) / (images - 1)")


def _last(group: RunGroup, split: str, probe: str) -> Floats | None:
    """Return (L,) the mean over runs at the last step, None where no run has it."""
    if (split, probe) not in group.probes:
        return None
    values = group.layers(split, probe)[:, -1]  # (R, L)
    if not np.isfinite(values).any():
        return None
    with np.errstate(invalid="ignore"):
        counts = np.isfinite(values).sum(axis=0)
        mean: Floats = np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), math.nan)
    return mean


def noise_floor(group: RunGroup) -> Floats | None:
    """Return (L,) the standard deviation of the unseen NMI over single k-means starts, None if not measured."""
    return _last(group, "unseen", NOISE_FLOOR_PROBE)


def destroyed_images(group: RunGroup) -> list[tuple[float, Floats]]:
    """Return (noise level, (L,) unseen NMI) of runs that probed images destroyed by noise; [] if none did.

    They are rows of a probe named nmi_noise_LEVEL.
    """
    found = []
    for split, probe in group.probes:
        level = destroyed_level(probe)
        values = _last(group, split, probe) if level is not None and split == "unseen" else None
        if level is not None and values is not None:
            found.append((level, values))
    return sorted(found, key=lambda pair: pair[0])
