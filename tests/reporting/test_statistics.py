"""Means, intervals and g against hand-worked cases, scipy and the reference values of the method."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from unseen.reporting.statistics import (
    at_depths,
    depth_shape,
    estimate,
    estimates,
    generalization,
    paired_difference,
)


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
    assert found.n.tolist() == [3, 1, 0]
    assert found.mean[:2].tolist() == [pytest.approx(0.3), 0.5]
    assert math.isnan(found.mean[2])
    assert math.isnan(found.low[1])  # one run
    assert found.at(0) == estimate(values[:, 0])


# Two runs, three layers. Means .35, .45, .40: the paper's way says layer 1 with .45.
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
    found = paired_difference(first, second)
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert paired_difference(first, np.full(3, np.nan)).n == 0


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


def test_at_depths_interpolates() -> None:
    found = at_depths(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.0, 0.25, 1.0]))
    assert found.tolist() == [0.0, 0.25, 1.0]
