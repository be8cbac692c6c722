"""Which runs are the units, and what results over them generalise to."""

import numpy as np
import pytest

from unseen.reporting.statistics.units import Cell, Units


def cells(*seeds_of_splits: str) -> list[Cell]:
    """Return the runs of splits a, b, ... with the seeds written for each."""
    splits = zip("abcd", seeds_of_splits, strict=False)
    return [(split, int(seed)) for split, seeds in splits for seed in seeds]


@pytest.mark.parametrize(
    ("runs", "units", "scope", "text"),
    [
        (cells("01", "10", "01"), [(0, 1), (3, 2), (4, 5)], "class splits and seeds", "3 class splits × 2 seeds"),
        # seed 2 was not run on b
        (
            cells("012", "01", "012"),
            [(0, 1), (3, 4), (5, 6)],
            "class splits and seeds",
            "3 class splits, 8 runs, of which 6 have seeds of all splits",
        ),
        (cells("3", "3", "3"), [(0,), (1,), (2,)], "class splits, for this seed", "3 class splits × 1 seed"),
        (
            cells("01", "1", "12"),
            [(1,), (2,), (3,)],
            "class splits, for this seed",
            "3 class splits, 5 runs, of which 3 have seeds of all splits",
        ),
        # each split with seeds of its own: no seed can move them alike
        (
            cells("0", "12", "3"),
            [(0,), (1, 2), (3,)],
            "class splits and seeds, each with its own",
            "3 class splits, 4 runs",
        ),
        (cells("01", "12", "20"), [(0, 1), (2, 3), (5, 4)], "class splits, for these seeds", "3 class splits, 6 runs"),
        (cells("01", "01"), [(0, 2), (1, 3)], "seeds, for these classes", "2 class splits × 2 seeds"),
        (cells("0"), [(0,)], "seeds, for these classes", "1 run"),
    ],
)  # fmt: skip
def test_by_hand(runs: list[Cell], units: list[tuple[int, ...]], scope: str, text: str) -> None:
    found = Units.of(runs)
    assert list(found.units) == units
    assert (found.scope, str(found)) == (scope, text)


def test_a_table_where_seeds_are_shared_else_means() -> None:
    table = Units.of(cells("01", "10", "01"))
    assert table.arrange(np.arange(6.0)).tolist() == [[0, 1], [3, 2], [4, 5]]
    assert table.arrange(np.zeros((6, 4))).shape == (3, 2, 4)
    own = Units.of(cells("0", "12", "3"))
    assert own.arrange(np.array([0.0, 1.0, 3.0, np.nan]))[:2].tolist() == [0, 2]
    assert np.isnan(own.arrange(np.full(4, np.nan))).all()


def test_a_run_that_does_not_count_costs_its_seed_or_the_units() -> None:
    runs = cells("01", "01", "01")
    assert Units.of(runs, [3]).units == ((0,), (2,), (4,))  # seed 1 of b
    assert Units.of(runs, [3]).scope == "class splits, for this seed"
    # without b two splits are left, and seeds are the units
    assert Units.of(runs, [2, 3]).units == ((0, 4), (1, 5))
    assert Units.of(runs, [2, 3]).counted == (("a", 0), ("c", 0), ("a", 1), ("c", 1))
