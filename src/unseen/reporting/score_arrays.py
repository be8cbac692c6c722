"""Rows of scores.csv, checked, as the arrays of a run.

Legend: T steps, L layers.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from unseen.probe_table import SCORES
from unseen.reporting.facts import LARGEST, check_name
from unseen.reporting.records import RunScores
from unseen.reporting.texts import quoted
from unseen.scores import (
    ACCURACY,
    HEAD_LAYER,
    INPUT_LAYER,
    SPLITS,
    Score,
    ScoreTable,
    destroyed_level,
    is_control,
)

_MOST_LAYERS = 2000
_SHARES = {ACCURACY} | {score.name for score in SCORES.values() if score.share}  # 0..1 by definition
_ROUNDING = 1e-6


def check_rows(table: ScoreTable) -> None:
    """Refuse rows that no evaluation writes.

    Raises:
        ValueError: Names the first row that is twice there, or the value that cannot be.
    """
    places = Counter((row.step, row.split, row.layer, row.probe) for row in table)
    if len(places) < len(table):
        step, split, layer, probe = places.most_common(1)[0][0]
        raise ValueError(f"step {step}, {split}, layer {layer}, {probe}: this row is there twice")
    for step, epoch in {(row.step, row.epoch) for row in table}:
        if not (0 <= step <= LARGEST and 0 <= epoch <= LARGEST):
            raise ValueError(f"there is no step {step} in epoch {epoch}")
    for split in {row.split for row in table} - set(SPLITS):
        raise ValueError(f"split {split!r} is neither {' nor '.join(SPLITS)}")
    limits = {probe: _limits(probe) for probe in {row.probe for row in table}}
    for row in table:
        low, high = limits[row.probe]
        if not (low <= row.value <= high or math.isnan(row.value)):  # NaN: an undefined score
            raise ValueError(
                f"{row.probe} of layer {row.layer} is {row.value}, it lies in {low:.0f}..{high:.0f}"
            )
    _check_layers({(row.layer, row.layer_name, row.depth) for row in table})


def _limits(probe: str) -> tuple[float, float]:
    _check_shown("probe", probe)
    level = destroyed_level(probe)
    if level is not None and not 0 < level <= LARGEST:
        raise ValueError(f"probe {probe}: it has no level of noise")
    is_share = probe in _SHARES or is_control(probe)
    return (-_ROUNDING, 1 + _ROUNDING) if is_share else (-float(LARGEST), float(LARGEST))


def _check_shown(what: str, name: str) -> None:
    try:
        check_name(name)
    except ValueError as error:
        raise ValueError(f"{what} is {quoted(name)}, it {error}") from error


def _check_layers(found: set[tuple[int, str, float | None]]) -> None:
    names: dict[int, str] = {}
    depths: dict[int, float] = {}
    for layer, name, depth in found:
        _check_shown(f"the name of layer {layer}", name)
        if not HEAD_LAYER <= layer <= _MOST_LAYERS:
            raise ValueError(f"layer {layer}: the layers are 0 to at most {_MOST_LAYERS}")
        if depth is not None and not 0 <= depth <= 1:
            raise ValueError(f"layer {layer} has depth {depth}, it lies in 0..1")
        if names.setdefault(layer, name) != name:
            raise ValueError(f"layer {layer} has two names")
        if depth is not None and depths.setdefault(layer, depth) != depth:
            raise ValueError(f"layer {layer} has two depths")
    ascending = [depth for layer, depth in sorted(depths.items()) if layer > INPUT_LAYER]
    if ascending != sorted(ascending):
        raise ValueError("the depths do not ascend with the layers")


def arrays_of(table: ScoreTable, seen_accuracy: Any = None) -> RunScores:
    """Return the rows of a run as arrays.

    Args:
        table: Its rows; those of layer -1 are raw pixels, those of layer -2 the head.
        seen_accuracy: Of the last step, used where the rows do not have it (folders of before there were such rows).

    Raises:
        ValueError: There are no rows of layers, or a layer number is missing.
    """
    places: dict[int, Score] = {row.layer: row for row in table if row.layer > INPUT_LAYER}
    if not places or sorted(places) != list(range(len(places))):
        raise ValueError(f"expected layers 0, 1, ..., found {sorted(places)}")
    steps = sorted({row.step for row in table if row.layer > INPUT_LAYER})
    at_step = {step: place for place, step in enumerate(steps)}
    layers: dict[tuple[str, str], Any] = {}
    pixels: dict[tuple[str, str], Any] = {}
    accuracy = np.full(len(steps), np.nan)
    for row in table:
        place = at_step.get(row.step)
        if place is None:
            continue
        key = (row.split, row.probe)
        if row.layer > INPUT_LAYER:
            if key not in layers:
                layers[key] = np.full((len(steps), len(places)), np.nan)
            layers[key][place, row.layer] = row.value
        elif row.layer == INPUT_LAYER:
            if key not in pixels:
                pixels[key] = np.full(len(steps), np.nan)
            pixels[key][place] = row.value
        elif row.layer == HEAD_LAYER and key == ("seen", ACCURACY):
            accuracy[place] = row.value
    if ("unseen", "nmi") not in layers:
        raise ValueError("no NMI of the unseen classes in any row")
    scored = sum(row.layer > INPUT_LAYER for row in table if (row.split, row.probe) == ("unseen", "nmi"))
    if scored != len(steps) * len(places):
        raise ValueError(f"{scored} rows with the NMI of {len(places)} layers at {len(steps)} steps")
    if isinstance(seen_accuracy, int | float) and np.isnan(accuracy[-1]):
        accuracy[-1] = seen_accuracy
    depths = [_depth(places[layer], len(places)) for layer in range(len(places))]
    names = tuple(places[layer].layer_name for layer in range(len(places)))
    return RunScores(np.array(steps, dtype=np.int64), names, np.array(depths), layers, pixels, accuracy)


def _depth(row: Score, num_layers: int) -> float:
    return row.depth if row.depth is not None else row.layer / max(num_layers - 1, 1)
