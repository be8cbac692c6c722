"""Intervals of biases hold the true value: a quick part of benchmarks/bias_intervals.py, and its table."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.bias_intervals import PAGE, RESULTS, coverage, settings, true_values, with_table  # noqa: E402

REPEATS = 40
LEAST = 0.95 - 3.5 * math.sqrt(0.05 * 0.95 / REPEATS)  # of a rate of .95 over 40 draws: .83


def one(name: str, value: str, n: int, repeats: int = REPEATS) -> dict[str, Any]:
    [found] = [each for each in settings() if name in each.name and value in true_values(each)]
    [row] = coverage(found, n, repeats)
    return row


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("5 % shape, 60 % texture", "shape_bias", 60),
        ("as the baseline", "low_frequency_bias", 100),
        ("as the baseline", "high_frequency_bias", 100),
    ],
)
def test_intervals_hold_the_true_value(name: str, value: str, n: int) -> None:
    row = one(name, value, n)
    assert row["given"] == 1
    assert row["coverage"] >= LEAST


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("0.5 % withstand", "adversarial_accuracy", 200),
        ("each 20%", "shape_bias", 1200),
    ],
)
def test_intervals_do_where_plain_ones_do_not(name: str, value: str, n: int) -> None:
    row = one(name, value, n)
    assert row["coverage"] >= LEAST
    assert row["plain"] < LEAST - 0.05


def test_intervals_of_calibration_error_would_not() -> None:
    assert one("well calibrated", "calibration_error", 200, 10)["coverage"] == 0


def test_the_page_shows_the_kept_coverages() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    assert with_table(text, results) == text
    kept = {(row["value"], row["setting"], row["n"]) for row in results}
    for each in settings():
        for value in true_values(each):
            assert {(value, each.name, n) for n in each.sizes} <= kept
