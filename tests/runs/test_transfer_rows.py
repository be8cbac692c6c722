"""Rows of scores.csv from decisions of single images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.runs.transfer.rows import accuracy_row, change_row


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 3.841459 / 13.841459),  # z² / (n + z²)
        (50, 100, 0.403832, 0.596168),  # ½ ± ½ z / √(n + z²)
        (1, 1, 1 / 4.841459, 1.0),
    ],
)
def test_the_interval_of_an_accuracy_is_wilsons(hits: int, n: int, low: float, high: float) -> None:
    row = accuracy_row("digits", "accuracy_before", torch.arange(n) < hits)
    assert (row.value, row.n) == (hits / n, n)
    assert (row.low, row.high) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(
    ("gained", "lost", "n", "low", "high"),
    [
        (53, 0, 100, 0.420764, 0.618452),  # (53 ± 1.959964 √(54 - 53² / 102)) / 102
        (0, 0, 40, -0.046666, 0.046666),  # no image changed, which is no certainty: ± 1.959964 / 42
        (1, 0, 1, -0.510101, 1.0),
    ],
)
def test_the_interval_of_a_change_is_agresti_and_mins(
    gained: int, lost: int, n: int, low: float, high: float
) -> None:
    images = torch.arange(n)
    then, now = (images >= n - lost) | (images < 0), images < gained
    row = change_row("digits", then, now)
    assert (row.value, row.n) == ((gained - lost) / n, n)
    assert (row.low, row.high) == pytest.approx((low, high), abs=1e-6)
    same = change_row("digits", now, now, untrained=True)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_the_interval_of_a_change_covers_where_few_images_change() -> None:
    rng, covered = np.random.default_rng(0), []
    for _ in range(400):
        outcome = rng.choice(3, size=50, p=[0.02, 0.03, 0.95])  # gained, lost, as before
        then, now = torch.from_numpy(outcome == 1), torch.from_numpy(outcome == 0)
        row = change_row("digits", then, now)
        covered.append(row.low <= -0.01 <= row.high)
    assert np.mean(covered) >= 0.95  # .915 without the added images
