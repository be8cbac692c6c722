"""Rows of scores.csv from decisions of single images."""

from __future__ import annotations

import pytest
import torch

from unseen.runs.transfer_rows import accuracy_row


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
