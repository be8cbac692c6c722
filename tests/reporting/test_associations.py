"""Permutation tests against hand-worked cases and scipy."""

import math

import numpy as np
import pytest
from scipy.stats import kendalltau, permutation_test, rankdata, spearmanr

from unseen.reporting.associations import holm, rank_agreement, ranks, sign_flip_p


def test_perfect_order_by_hand() -> None:
    found = rank_agreement([1, 2, 3, 4], [10, 20, 30, 40])
    assert (found.spearman, found.kendall) == (pytest.approx(1), pytest.approx(1))
    # of 4! = 24 orders the one in order and the one reversed are as far from zero
    assert found.spearman_p == pytest.approx(2 / 24)
    assert found.kendall_p == pytest.approx(2 / 24)
    assert found.exact
    assert found.n == 4


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    return float(spearmanr(x, y).statistic)


@pytest.mark.parametrize("n", [3, 5, 6])
@pytest.mark.parametrize("ties", [False, True])
def test_exact_p_is_that_of_scipy(n: int, ties: bool) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=n), rng.normal(size=n)
    if ties:
        x[0] = x[1]
    found = rank_agreement(x, y)
    oracle = permutation_test(
        (y,), lambda order: _spearman(x, order), permutation_type="pairings", n_resamples=10_000
    )
    assert found.spearman == pytest.approx(spearmanr(x, y).statistic)
    assert found.spearman_p == pytest.approx(oracle.pvalue)
    assert found.kendall == pytest.approx(kendalltau(x, y).statistic)
    if not ties:
        assert found.kendall_p == pytest.approx(kendalltau(x, y, method="exact").pvalue)


def test_many_points_are_drawn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = x + 2 * rng.normal(size=30)
    found = rank_agreement(x, y)
    assert not found.exact
    assert found.kendall == pytest.approx(kendalltau(x, y).statistic)
    assert found.kendall_p == pytest.approx(kendalltau(x, y, method="exact").pvalue, abs=0.01)
    assert found.spearman_p == pytest.approx(spearmanr(x, y).pvalue, abs=0.01)
    assert rank_agreement(x, x).spearman_p == pytest.approx(1 / 10_000)  # never zero


@pytest.mark.parametrize(
    ("x", "y", "n"),
    [([1, 2], [1, 2], 2), ([1, 1, 1], [1, 2, 3], 3), ([1, 2, math.nan], [1, 2, 3], 2), ([], [], 0)],
)
def test_too_little_to_say(x: list[float], y: list[float], n: int) -> None:
    found = rank_agreement(x, y)
    assert found.n == n
    assert math.isnan(found.spearman)
    assert math.isnan(found.kendall_p)


def test_ranks_are_those_of_scipy() -> None:
    values = np.array([3.0, 1.0, 3.0, 2.0, 1.0, 3.0])
    assert ranks(values).tolist() == rankdata(values).tolist()


def test_sign_flips_by_hand_and_by_scipy() -> None:
    # sums of +-1 +-2 +-4: 7, 3, 5 (-1), 1, and their negatives; |sum| >= 5 holds for +-7, +-5: 4 of 8
    assert sign_flip_p([-1, 2, 4]) == pytest.approx(4 / 8)
    assert sign_flip_p([]) != sign_flip_p([])  # NaN
    assert sign_flip_p([0.3]) == 1.0  # one pair can show nothing
    steps = np.random.default_rng(1).normal(0.4, 1, 9)
    both = permutation_test(
        (steps, np.zeros_like(steps)),
        lambda a, b: np.sum(a - b),
        permutation_type="samples",
        n_resamples=10_000,
    )
    assert sign_flip_p(steps) == pytest.approx(both.pvalue)


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
