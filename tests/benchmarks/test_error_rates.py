"""The report's statements keep their error rates: a quick part of benchmarks/error_rates.py, and its tables."""

import doctest
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import error_rate_tables  # noqa: E402
from benchmarks.error_rate_tables import REPEATS  # noqa: E402
from benchmarks.error_rates import PAGE, RESULTS, Cell, cells, checked, rates, with_tables  # noqa: E402

REPEAT = 400
MARGIN = 3.5 * math.sqrt(0.05 * 0.95 / REPEAT)  # of a rate of .05 or .95 over 400 results: .038


@pytest.mark.parametrize(
    "place",
    [
        ("independent", 3, 13),
        ("smooth", 5, 13),
        ("correlated", 10, 3),
        ("independent", 5, 9),
        ("opposed", 5, 5),
    ],
    ids=str,
)
def test_statements_on_networks(place: tuple[Any, ...]) -> None:
    for name, rate in rates(Cell("network", place), REPEAT).items():
        assert rate is not None
        if name in ("mean", "band") or name.startswith("g "):
            assert rate >= 0.95 - MARGIN, name
        elif not name.startswith("bias"):
            assert rate <= 0.05 + MARGIN, name


def test_with_two_units_nothing_is_said() -> None:
    for name, rate in rates(Cell("network", ("independent", 2, 5)), REPEAT).items():
        covers = name in ("mean", "band") or name.startswith("g ")
        assert rate is None if covers else rate == 0 or name.startswith("bias"), name


@pytest.mark.parametrize("truth", ["nothing", "peaks", "two"])
def test_a_page(truth: str) -> None:
    false = rates(Cell("page", ("correlated", 5, truth)), REPEAT)
    for name in ("page", "page of three parts"):
        rate = false[name]
        assert rate is not None
        assert rate <= 0.10 + 3.5 * math.sqrt(0.1 * 0.9 / REPEAT), name


def test_what_is_counted_together_is_what_the_report_says() -> None:
    with pytest.raises(AssertionError, match=r"mean: 1\.0 of many, 0\.0 by the report"):
        checked({"mean": [True]}, lambda _: {"mean": 0.0})


def test_splits_and_seeds() -> None:
    found = rates(Cell("table", (5, 3, [1.0, 1.0, 1.0])), 10 * REPEAT)
    assert found["over both"] is not None
    assert found["over splits"] is not None
    assert 0.95 - MARGIN / 2 <= found["over both"] <= 0.99
    assert found["over splits"] < 0.92  # these seeds only: not over seeds


@pytest.mark.parametrize("place", [(3, 3, [1.0, 1.0, 1.0], 13), (5, 3, [0.0, 1.0, 0.25], 5)], ids=str)
def test_statements_over_splits_and_seeds(place: tuple[Any, ...]) -> None:
    for name, rate in rates(Cell("crossed", place), 2 * REPEAT).items():
        assert rate is not None
        if name == "band" or name.startswith("g "):
            assert rate >= 0.95 - MARGIN, name
        else:
            assert rate <= 0.05 + MARGIN, name


def test_what_is_unrelated() -> None:
    found = rates(Cell("association", (6, 13)), REPEAT // 4)
    assert max(rate for rate in found.values() if rate is not None) <= 0.05 + 2 * MARGIN
    assert rates(Cell("association", (5, 13)), 20)["curves"] == 0  # five networks: no p


def test_the_page_shows_the_kept_rates() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text, results) == text
    assert len(results) == len(list(cells()))
    assert f"{REPEATS['network']:,} results in each cell" in text
    assert doctest.testmod(error_rate_tables).failed == 0
