"""Rank correlation with its permutation p and power, and curves over networks: hand-worked cases and scipy."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from unseen.reporting.statistics.association import (
    curve_agreement,
    detectable_correlation,
    needed_correlation,
    partial_spearman,
    sign_flip_p,
    spearman,
)


def test_perfect_order_by_hand() -> None:
    found = spearman([1, 2, 3, 4], [10, 20, 30, 40])
    assert found.rho == pytest.approx(1)
    # of 4! orders the one in order and the one reversed are as far from zero
    assert found.p == found.smallest_p == pytest.approx(2 / 24)
    assert (found.exact, found.n) == (True, 4)
    against = spearman([1, 2, 3, 4], [40, 30, 20, 10])
    assert (against.rho, against.p) == (pytest.approx(-1), found.p)


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("ties", ["none", "one side", "both sides"])
def test_exact_p_counts_every_order(n: int, ties: str) -> None:
    x, y = np.random.default_rng(n).normal(size=(2, n))
    if ties != "none":
        x[0] = x[1]
    if ties == "both sides":
        y[1] = y[2]
    found, expected = spearman(x, y), spearmanr(x, y).statistic
    permuted = [abs(spearmanr(x, y[list(order)]).statistic) for order in itertools.permutations(range(n))]
    assert found.rho == pytest.approx(expected)
    assert found.p == pytest.approx(np.mean(np.array(permuted) >= abs(expected) - 1e-9))
    in_order = abs(spearmanr(np.sort(x), np.sort(y)).statistic)
    assert found.smallest_p == pytest.approx(np.mean(np.array(permuted) >= in_order - 1e-9))


def test_many_points_are_drawn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = x + 2 * rng.normal(size=30)
    found = spearman(x, y)
    assert not found.exact
    assert found.p == pytest.approx(spearmanr(x, y).pvalue, abs=0.01)
    assert spearman(x, x).p == pytest.approx(1 / 10_000)  # never zero
    assert spearman(x, y) == found  # the same draws each time


@pytest.mark.parametrize(
    ("x", "y", "n"),
    [([1, 2], [1, 2], 2), ([1, 1, 1], [1, 2, 3], 3), ([1, 2, math.nan], [1, 2, 3], 2), ([], [], 0)],
)
def test_too_little_to_say(x: list[float], y: list[float], n: int) -> None:
    found = spearman(x, y)
    assert found.n == n
    assert math.isnan(found.rho)
    assert math.isnan(found.p)


def test_four_points_can_show_nothing() -> None:
    assert math.isnan(detectable_correlation(4))


# two-sided critical values of Spearman's rho at .05 (Zar 1972)
@pytest.mark.parametrize(("n", "critical"), [(6, 0.886), (8, 0.738), (10, 0.648)])
def test_power_by_another_simulation(n: int, critical: float) -> None:
    rho, rng = detectable_correlation(n), np.random.default_rng(1)
    pairs = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=4000)[:, None]
    x, y = np.moveaxis(np.concatenate([pairs] + [
        rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=4000)[:, None] for _ in range(n - 1)
    ], axis=1), -1, 0)  # fmt: skip
    d = rankdata(x, axis=1) - rankdata(y, axis=1)
    found = 1 - 6 * (d**2).sum(axis=1) / (n * (n**2 - 1))
    assert (np.abs(found) >= critical - 0.0005).mean() == pytest.approx(0.8, abs=0.03)


def test_curves_over_networks_by_hand() -> None:
    found = curve_agreement([0.9, 0.8, 0.7, 0.9, 0.2, 0.5])
    assert (found.n, found.positive) == (6, 6)
    assert found.p == pytest.approx(2 / 64)  # all flips one way or the other
    assert found.rho == pytest.approx(4 / 6)
    five = curve_agreement([0.9, 0.8, 0.7, math.nan, 0.9, -0.2])
    assert (five.n, five.positive) == (5, 4)
    assert math.isnan(five.p)
    assert curve_agreement([]).n == 0


def test_sign_flips_by_hand() -> None:
    # sums of +-1 +-2 +-4: 7, 3, 5 (-1), 1, and their negatives; |sum| >= 5 holds for +-7, +-5: 4 of 8
    assert sign_flip_p([-1, 2, 4]) == pytest.approx(4 / 8)
    assert math.isnan(sign_flip_p([]))
    assert sign_flip_p([0.3]) == 1.0  # one value can show nothing
    steps = np.random.default_rng(1).normal(0.4, 1, 9)
    sums = np.array(list(itertools.product((1, -1), repeat=9))) @ steps
    assert sign_flip_p(steps) == pytest.approx(np.mean(np.abs(sums) >= abs(steps.sum()) - 1e-9))


def test_many_flips_are_drawn() -> None:
    steps = np.random.default_rng(2).normal(0.3, 1, 20)
    rng = np.random.default_rng(5)
    sums = rng.choice([-1, 1], size=(200_000, 20)) @ steps
    assert sign_flip_p(steps) == pytest.approx(float((np.abs(sums) >= abs(steps.sum())).mean()), abs=0.02)


def test_the_least_correlation_that_can_pass() -> None:
    """Of 6 in one order p = 2/720 = .0028; .886 is what 5 % tables of Spearman's rho have for n = 6, .738 for 8."""
    assert needed_correlation(6, 0.05) == pytest.approx(0.886, abs=5e-4)
    assert needed_correlation(8, 0.05) == pytest.approx(0.738, abs=5e-4)
    assert needed_correlation(6, 0.0028) == 1
    assert math.isnan(needed_correlation(6, 0.0027))
    assert math.isnan(needed_correlation(2, 0.05))


def test_a_partial_correlation_against_its_formula_and_every_order() -> None:
    rng = np.random.default_rng(3)
    x, y, z = rng.normal(size=(3, 6))
    x += z
    y += z
    r, p = partial_spearman(x, y, z)
    xy, xz, yz = (spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    assert r == pytest.approx((xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)))
    fit = np.stack([np.ones(6), rankdata(z)], axis=1)
    left = np.eye(6) - fit @ np.linalg.pinv(fit)
    of_x, of_y = left @ rankdata(x), left @ rankdata(y)
    reached = []
    for order in itertools.permutations(range(6)):
        again = left @ of_y[list(order)]
        reached.append(abs(of_x @ again) / math.sqrt((of_x @ of_x) * (again @ again)) >= abs(r) - 1e-9)
    assert p == pytest.approx(np.mean(reached))


@pytest.mark.parametrize("n", [4, 6])
def test_nothing_is_left_of_what_equals_the_given(n: int) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, n))
    assert all(map(math.isnan, partial_spearman(x, y, x)))
    assert all(map(math.isnan, partial_spearman(x, np.ones(n), y)))
