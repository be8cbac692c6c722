"""Means, intervals, g and permutation tests against hand-worked cases, scipy and the reference values of the method."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap, kendalltau, spearmanr

from unseen.reporting.statistics import (
    RankAgreement,
    depth_shape,
    estimate,
    estimates,
    generalization,
    holm,
    kendall,
    sign_flip_p,
    spearman,
)

Coefficient = Callable[[Any, Any], RankAgreement]


def test_estimate_by_hand() -> None:
    found = estimate(np.array([0.2, 0.4, 0.9]))
    assert found.mean == pytest.approx(0.5)
    # deviations -.3, -.1, .4: squares .09 + .01 + .16 = .26, a third of it (ddof 0), root
    assert found.std == pytest.approx(math.sqrt(0.26 / 3))
    assert found.n == 3
    # all-lowest and all-highest resamples have a share of 1/27 = 3.7 % each, more than the tail of 2.5 %
    assert (found.low, found.high) == (pytest.approx(0.2), pytest.approx(0.9))


def test_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 20)
    ours = estimate(values)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    )
    # both are Monte Carlo: an end of the interval has an error of about .0015 here
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.006)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.006)


def test_interval_is_the_same_each_time() -> None:
    values = np.array([0.1, 0.5, 0.4, 0.9])
    assert estimate(values) == estimate(values.copy())


def test_one_run_has_no_interval() -> None:
    found = estimate(np.array([0.3]))
    assert (found.mean, found.std, found.n) == (0.3, 0.0, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_equal_runs_have_an_interval_of_no_width() -> None:
    found = estimate(np.array([0.3, 0.3, 0.3]))
    assert (found.low, found.high) == (pytest.approx(0.3), pytest.approx(0.3))


def test_missing_numbers_lower_n() -> None:
    values = np.array([[0.1, np.nan, np.nan], [0.3, 0.5, np.nan], [0.5, np.nan, np.nan]])  # 3 runs, 3 numbers
    found = estimates(values)
    assert [one.n for one in found] == [3, 1, 0]
    assert [one.mean for one in found[:2]] == [pytest.approx(0.3), 0.5]
    assert math.isnan(found[2].mean)
    assert math.isnan(found[1].low)  # one run
    assert found[0] == estimate(values[:, 0])


# Two runs, three layers. Means .35, .45, .40: the paper's way gives layer 1 with .45.
# Largest of each run: .6 (layer 0), .7 (layer 2): the mean of maxima is .65.
TWO_RUNS = np.array([[0.6, 0.5, 0.1], [0.1, 0.4, 0.7]])


def test_g_both_ways_by_hand() -> None:
    found = generalization(TWO_RUNS)
    assert found is not None
    assert found.of_mean.mean == pytest.approx(0.45)
    assert found.of_mean.std == pytest.approx(0.05)
    assert found.of_mean.n == 2
    assert found.best_layer == 1
    assert found.of_runs.mean == pytest.approx(0.65)
    assert found.wins.tolist() == [1, 0, 1]
    # resamples: (a, a) -> layer 0, (b, b) -> layer 2, (a, b) in either order -> layer 1: half of them
    assert found.support == pytest.approx(0.5, abs=0.04)
    # their g: .6, .7, .45, .45
    assert (found.of_mean.low, found.of_mean.high) == (pytest.approx(0.45), pytest.approx(0.7))


def test_g_is_the_reference() -> None:
    nmi = np.random.default_rng(0).uniform(size=(5, 3, 7))[-1]  # the last of five steps: 3 seeds, 7 layers
    found = generalization(nmi)
    assert found is not None
    assert found.of_mean.mean == pytest.approx(0.7575058650002792, abs=1e-8)
    assert found.of_mean.std == pytest.approx(0.24451344158896685, abs=1e-8)
    assert found.best_layer == 0
    assert found.of_runs.mean == pytest.approx(0.9455949621543973, abs=1e-8)


def test_ties_go_to_the_shallowest_layer() -> None:
    found = generalization(np.array([[0.5, 0.5], [0.5, 0.5]]))
    assert found is not None
    assert found.best_layer == 0
    assert found.wins.tolist() == [2, 0]


def test_undefined_layers_do_not_count() -> None:
    found = generalization(np.array([[np.nan, 0.2], [0.9, 0.4]]))
    assert found is not None
    assert found.best_layer == 1
    assert found.wins.tolist() == [0, 2]
    assert generalization(np.full((2, 3), np.nan)) is None


def test_paired_difference_uses_the_pairs() -> None:
    # the runs differ by far more than the layers: unpaired the intervals overlap, paired the difference is .1 sharp
    first, second = np.array([0.9, 0.5, 0.2]), np.array([0.8, 0.4, 0.1])
    found = estimate(first - second)
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))


def test_a_turn_must_be_beyond_the_uncertainty() -> None:
    up_down = np.array([[0.1, 0.5, 0.3], [0.2, 0.7, 0.4], [0.1, 0.6, 0.2]])  # every seed rises, then falls
    found = depth_shape(up_down)
    assert (found.rises, found.falls, found.sign_changes, found.judged_by) == (1, 1, 1, "interval")
    unsure = np.array([[0.1, 0.5, 0.6], [0.2, 0.7, 0.6], [0.1, 0.6, 0.5]])  # the second step goes either way
    assert depth_shape(unsure).sign_changes == 0
    zigzag = np.tile([0.1, 0.5, 0.2, 0.6], (3, 1)) + np.arange(3)[:, None] / 100
    assert depth_shape(zigzag).sign_changes == 2


def test_one_run_is_judged_by_the_noise_of_k_means() -> None:
    one = np.array([[0.1, 0.5, 0.4]])
    assert depth_shape(one).judged_by == ""
    # a fall of .1 against 1.96 * sqrt(2) * .02 = .055, then against .166
    assert depth_shape(one, np.full(3, 0.02)).sign_changes == 1
    assert depth_shape(one, np.full(3, 0.06)).sign_changes == 0


@pytest.mark.parametrize("coefficient", [spearman, kendall])
def test_perfect_order_by_hand(coefficient: Coefficient) -> None:
    found = coefficient([1, 2, 3, 4], [10, 20, 30, 40])
    assert found.value == pytest.approx(1)
    assert found.p == pytest.approx(
        2 / 24
    )  # of 4! orders the one in order and the one reversed are as far from zero
    assert (found.exact, found.n) == (True, 4)


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize("ties", ["none", "one side", "both sides"])
@pytest.mark.parametrize(("coefficient", "oracle"), [(spearman, spearmanr), (kendall, kendalltau)])
def test_exact_p_counts_every_order(coefficient: Coefficient, oracle: Any, n: int, ties: str) -> None:
    x, y = np.random.default_rng(n).normal(size=(2, n))
    if ties != "none":
        x[0] = x[1]
    if ties == "both sides":
        y[1] = y[2]
    found, expected = coefficient(x, y), oracle(x, y).statistic
    permuted = [oracle(x, y[list(order)]).statistic for order in itertools.permutations(range(n))]
    assert found.value == pytest.approx(expected)
    assert found.p == pytest.approx(np.mean(np.abs(permuted) >= abs(expected) - 1e-9))


def test_many_points_are_drawn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = x + 2 * rng.normal(size=30)
    rho, tau = spearman(x, y), kendall(x, y)
    assert not rho.exact
    assert tau.p == pytest.approx(kendalltau(x, y, method="exact").pvalue, abs=0.01)
    assert rho.p == pytest.approx(spearmanr(x, y).pvalue, abs=0.01)
    assert spearman(x, x).p == pytest.approx(1 / 10_000)  # never zero
    assert spearman(x, y) == rho  # the same draws each time


@pytest.mark.parametrize(
    ("x", "y", "n"),
    [([1, 2], [1, 2], 2), ([1, 1, 1], [1, 2, 3], 3), ([1, 2, math.nan], [1, 2, 3], 2), ([], [], 0)],
)
def test_too_little_to_say(x: list[float], y: list[float], n: int) -> None:
    for found in (spearman(x, y), kendall(x, y)):
        assert found.n == n
        assert math.isnan(found.value)
        assert math.isnan(found.p)


def test_sign_flips_by_hand() -> None:
    # sums of +-1 +-2 +-4: 7, 3, 5 (-1), 1, and their negatives; |sum| >= 5 holds for +-7, +-5: 4 of 8
    assert sign_flip_p([-1, 2, 4]) == pytest.approx(4 / 8)
    assert sign_flip_p([]) != sign_flip_p([])  # NaN
    assert sign_flip_p([0.3]) == 1.0  # one pair can show nothing
    steps = np.random.default_rng(1).normal(0.4, 1, 9)
    sums = np.array(list(itertools.product((1, -1), repeat=9))) @ steps
    assert sign_flip_p(steps) == pytest.approx(np.mean(np.abs(sums) >= abs(steps.sum()) - 1e-9))


def test_many_flips_are_drawn() -> None:
    steps = np.random.default_rng(2).normal(0.3, 1, 20)
    drawn = sign_flip_p(steps)
    rng = np.random.default_rng(5)
    sums = rng.choice([-1, 1], size=(200_000, 20)) @ steps
    assert drawn == pytest.approx(float((np.abs(sums) >= abs(steps.sum())).mean()), abs=0.02)


def test_holm_by_hand() -> None:
    # ascending .01, .02, .03, .04 times 4, 3, 2, 1 = .04, .06, .06, .04; never below an earlier one
    assert holm([0.04, 0.01, 0.03, 0.02]) == [pytest.approx(value) for value in (0.06, 0.04, 0.06, 0.06)]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    corrected = holm([math.nan, 0.02, 0.5])
    assert math.isnan(corrected[0])
    assert corrected[1:] == [0.04, 0.5]
    assert holm([]) == []
