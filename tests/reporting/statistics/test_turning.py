"""Peaks and valleys over layers: hand-worked cases and scipy."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from unseen.reporting.statistics.turning import turning


def test_a_sure_peak_is_two_paired_t_tests() -> None:
    rng = np.random.default_rng(0)
    curves = np.array([0.1, 2.0, 9.0, 3.0, 7.5]) + 0.3 * rng.normal(size=(5, 5))
    found = turning(curves)
    sides = [ttest_rel(curves[:, 2], curves[:, end], alternative="greater") for end in (0, -1)]
    assert (found.kind, found.layer, found.n) == ("peak", 2, 5)
    assert found.p == pytest.approx(4 * max(side.pvalue for side in sides))
    assert found.height == pytest.approx((curves[:, 2] - curves[:, -1]).mean())  # the last is the nearer end
    assert found.p < 0.05
    mirrored = turning(-curves)
    assert (mirrored.kind, mirrored.layer) == ("valley", 2)
    assert (mirrored.p, mirrored.height) == (pytest.approx(found.p), pytest.approx(found.height))


@pytest.mark.parametrize("slope", [-1.0, 1.0])
def test_a_monotone_curve_does_not_turn(slope: float) -> None:
    curves = slope * np.arange(6) + 0.01 * np.random.default_rng(1).normal(size=(8, 6))
    found = turning(curves)
    assert found.p == pytest.approx(1)
    assert found.height < 0
    assert found.departure == 0


def test_both_sides_are_needed() -> None:
    # the inner layer is far above the first and level with the last
    curves = np.array([0.0, 5.0, 5.0]) + 0.1 * np.random.default_rng(2).normal(size=(6, 3))
    assert turning(curves).p > 0.05


def test_departure_by_hand() -> None:
    # rising: 3 and 2 become 2.5, so .5 off; falling: all become 2.5, so 1.5 off
    curves = np.array([[1.0, 3.0, 2.0, 4.0]] * 3)
    assert turning(curves).departure == pytest.approx(0.5)
    assert turning(curves[:1]).departure == pytest.approx(0.5)


@pytest.mark.parametrize("shape", [(2, 5), (5, 2), (1, 3), (4, 1)])
def test_too_little_to_judge(shape: tuple[int, int]) -> None:
    found = turning(np.random.default_rng(3).normal(size=shape))
    assert (found.kind, found.layer, found.n) == ("", -1, shape[0])
    assert math.isnan(found.p)
    assert math.isnan(found.height)


def test_gaps() -> None:
    curves = np.array([0.0, 9.0, 1.0]) + 0.1 * np.random.default_rng(4).normal(size=(4, 3))
    with_gaps = np.insert(curves, 1, np.nan, axis=1)  # a layer that nobody has
    with_gaps = np.vstack([with_gaps, [0.0, np.nan, np.nan, 1.0]])  # a unit without the peak
    found, expected = turning(with_gaps), turning(curves)
    assert (found.layer, found.n) == (2, 4)
    assert found.p == expected.p
    assert math.isnan(turning(np.full((3, 3), np.nan)).departure)


def test_equal_curves_show_nothing() -> None:
    assert turning(np.tile([0.0, 1.0, 0.0], (4, 1))).p == 1
