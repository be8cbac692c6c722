"""Levels that a score is read against: chance, ceiling, raw pixels; and the controls of the NMI.

Legend: R runs (seeds), T steps, L layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unseen.probe_table import SCORES, Counts
from unseen.reporting.groups import RunGroup
from unseen.reporting.records import Floats
from unseen.scores import NOISE_FLOOR_PROBE, destroyed_level


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
    limit = SCORES[probe].ceiling if probe in SCORES else None
    if limit:
        ceiling = _last(group, split, limit)
        if ceiling is not None:
            found.append(Reference("ceiling", ceiling[:1], SCORES[limit].meaning))
    pixels = group.pixels(split, probe)[:, -1]
    if np.isfinite(pixels).any():
        found.append(Reference("pixels", np.array([np.nanmean(pixels)]), "the same probe on the raw pixels"))
    return found


def _chance(group: RunGroup, split: str, probe: str) -> Reference | None:
    chance = SCORES[probe].chance if probe in SCORES else None
    if chance is None:
        return None
    if isinstance(chance.level, str):
        values = _last(group, split, chance.level)
    else:
        facts, unseen = group.runs[0].facts, split == "unseen"
        ceiling = _last(group, split, SCORES["nnk"].ceiling or "")
        level = chance.level(
            Counts(
                images=facts.unseen_images if unseen else facts.seen_test_images,
                classes=facts.unseen_classes if unseen else facts.seen_classes,
                k=facts.k if unseen else facts.k_seen or facts.k,
                ceiling=None if ceiling is None else float(ceiling[0]),
            )
        )
        values = None if level is None else np.array([level])
    return None if values is None else Reference("chance", values, chance.meaning)


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
