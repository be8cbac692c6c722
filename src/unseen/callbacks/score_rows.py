"""What an evaluation found, as rows of scores.csv and as numbers for the loggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unseen.backbones.protocol import Tap
from unseen.scores import (
    ACCURACY,
    HEAD_LAYER,
    HEAD_NAME,
    INPUT_LAYER,
    INPUT_NAME,
    Generalization,
    Score,
    is_control,
    metric_name,
)


def score_rows(
    step: int,
    epoch: int,
    taps: Sequence[Tap],
    *,
    layers: Mapping[tuple[str, int, str], float],
    baseline: Mapping[tuple[str, str], float],
    accuracy: float | None,
) -> list[Score]:
    """Return the rows of one evaluation: the head, the raw pixels, the layers.

    Args:
        step: Optimiser steps done.
        epoch: Passes over the seen training images begun.
        taps: The layers.
        layers: {(split, layer, probe): value}.
        baseline: {(split, probe): value} of the raw pixels.
        accuracy: Of the head on seen test images; None where it was not trained on their classes.
    """
    rows = []
    if accuracy is not None:
        rows.append(Score(step, epoch, "seen", HEAD_LAYER, HEAD_NAME, None, ACCURACY, accuracy))
    rows += [
        Score(step, epoch, split, INPUT_LAYER, INPUT_NAME, None, probe, value)
        for (split, probe), value in sorted(baseline.items())
    ]
    rows += [
        Score(step, epoch, split, layer, taps[layer].name, taps[layer].depth, probe, value)
        for (split, layer, probe), value in sorted(layers.items())
    ]
    return rows


def logged_numbers(rows: Sequence[Score], best: Generalization) -> dict[str, float]:
    """Return {metric name: value} for the loggers.

    The module logs the head's accuracy itself; controls would be hundreds of curves that nobody follows.
    """
    numbers = {
        metric_name(row.split, row.probe, row.layer, row.layer_name): row.value
        for row in rows
        if row.layer >= INPUT_LAYER and not is_control(row.probe)
    }
    numbers[metric_name("unseen", "g")] = best.g
    numbers[metric_name("unseen", "best_layer")] = float(best.best_layer)
    return numbers
