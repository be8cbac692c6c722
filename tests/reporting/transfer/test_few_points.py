"""Lines, Kendall's tau and R² of a few points: by hand, against statsmodels and SciPy, and by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from unseen.reporting.statistics import explained, kendall
from unseen.reporting.statistics.least_squares import (
    fit,
    left_out_errors,
    left_out_errors_of_mean,
    r_squared,
    varies,
    varies_without_any,
)
from unseen.reporting.statistics.shuffles import orders, share_reaching, smallest_p

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 7))


def test_band_and_forecast_are_those_of_statsmodels() -> None:
    line, at = fit(X, Y), np.array([-3.0, 0.2, 4.0])
    found = sm.OLS(Y, sm.add_constant(X)).fit()
    expected = found.get_prediction(sm.add_constant(at)).summary_frame()
    assert line.at(at) == pytest.approx(expected["mean"].to_numpy())
    assert line.band(at)[0] == pytest.approx(expected["mean_ci_lower"].to_numpy())
    assert line.forecast(at)[0] == pytest.approx(expected["obs_ci_lower"].to_numpy())
    assert line.forecast(at)[1] == pytest.approx(expected["obs_ci_upper"].to_numpy())
    assert line.slope_interval == pytest.approx(found.conf_int()[1])
    assert [line.extrapolates(x) for x in (X.min(), X.max(), X.max() + 1)] == [False, False, True]


def test_a_forecast_from_three_points_is_as_wide_as_one_degree_of_freedom_makes_it() -> None:
    # line 1/3 + x / 2; errors 1/6, -1/3, 1/6, so that their standard deviation with one degree of freedom is √(1/6)
    line = fit([0, 1, 2], [0.5, 0.5, 1.5])
    assert (line.slope, line.intercept, line.residual) == pytest.approx((0.5, 1 / 3, math.sqrt(1 / 6)))
    low, high = line.forecast(1)
    assert high - low == pytest.approx(2 * 12.7062 * math.sqrt(1 / 6) * math.sqrt(4 / 3), rel=1e-5)


def test_errors_of_points_left_out_are_those_of_statsmodels() -> None:
    press = sm.OLS(Y, sm.add_constant(X)).fit().get_influence().resid_press
    assert left_out_errors(X, Y) == pytest.approx(np.abs(press))
    by_hand = [abs(Y[at] - np.delete(Y, at).mean()) for at in range(7)]
    assert left_out_errors_of_mean(Y) == pytest.approx(by_hand)
    assert left_out_errors(X, np.stack([Y, 2 * Y]))[1] == pytest.approx(2 * np.abs(press))
    assert r_squared(X, Y) == pytest.approx(stats.pearsonr(X, Y).statistic ** 2)


def test_what_varies() -> None:
    assert not varies([0.1 + 0.2, 0.3, 0.3])  # by rounding alone
    assert varies_without_any([1, 1, 2, 2])
    assert not varies_without_any([1, 1, 1, 2])
    assert not varies([0.0, 0.0])
    with pytest.raises(ValueError, match="a line needs 3 points at different places"):
        fit([1, 1, 1], [1, 2, 3])


def test_orders_are_all_of_few_and_drawn_of_many() -> None:
    assert {tuple(order) for order in orders(4).tolist()} == set(itertools.permutations(range(4)))
    many = orders(9)
    assert many.shape == (10_000, 9)
    assert many[0].tolist() == list(range(9))
    assert (np.sort(many, axis=1) == np.arange(9)).all()
    assert smallest_p(5) == pytest.approx(1 / 60)
    # of ten orders those that reach the first, ties but for rounding included
    assert share_reaching(np.array([0.3, 0.1 + 0.2, 0.2, 0.4])) == 0.75


def test_tau_without_ties_is_that_of_scipy() -> None:
    found = stats.kendalltau(X, Y)
    assert kendall.kendall(X, Y) == pytest.approx((found.statistic, found.pvalue))


def test_p_with_ties_counts_orders() -> None:
    x, y = np.array([1.0, 1, 2, 3]), np.array([1.0, 2, 2, 3])

    # SciPy's p is an approximation here. By hand: concordant less discordant pairs are 4, as in the four orders with
    # 1 and a 2 in the tied places (in either order, either 2) and the other 2 before 3; in their reverses they are -4.
    def excess(order: tuple[float, ...]) -> int:
        return sum(
            int(np.sign((x[i] - x[j]) * (order[i] - order[j])))
            for i, j in itertools.combinations(range(4), 2)
        )

    counted = np.mean([abs(excess(order)) >= abs(excess(tuple(y))) for order in itertools.permutations(y)])
    tau, p = kendall.kendall(x, y)
    assert p == pytest.approx(counted)
    assert p == pytest.approx(8 / 24)
    assert tau == pytest.approx(stats.kendalltau(x, y).statistic)


def test_the_interval_of_tau() -> None:
    low, high = kendall.interval(0.6, 6)
    assert low < 0.6 < high
    assert kendall.interval(-0.6, 6) == pytest.approx(
        (-high, -low), abs=0.041
    )  # a step of the grid, two at most
    assert kendall.interval(1.0, 6)[1] == 1
    assert 0.3 < kendall.interval(1.0, 6)[0] < 0.6  # the bootstrap has [1, 1]
    assert all(math.isnan(end) for n in (4, 31) for end in kendall.interval(0.5, n))


def test_the_interval_of_tau_covers() -> None:
    rng, rho = np.random.default_rng(1), 0.9
    x, noise = rng.standard_normal((2, 400, 6))
    y = rho * x + math.sqrt(1 - rho**2) * noise
    true = 2 / math.pi * math.asin(rho)
    ends = [kendall.interval(kendall.kendall(a, b)[0], 6) for a, b in zip(x, y, strict=True)]
    covered = np.mean([low <= true <= high for low, high in ends])
    assert covered > 0.93  # .95 less two standard errors


def test_r_has_the_distribution_of_normal_pairs() -> None:
    rng, rho, n = np.random.default_rng(2), 0.8, 6
    x, noise = rng.standard_normal((2, 20_000, n))
    y = rho * x + math.sqrt(1 - rho**2) * noise
    r = np.array(
        [
            np.sign((b - b.mean()) @ (a - a.mean())) * math.sqrt(r_squared(a, b))
            for a, b in zip(x, y, strict=True)
        ]
    )
    for limit in (0.3, 0.7, 0.95):
        assert explained._probability_at_most(limit, rho, n) == pytest.approx((r <= limit).mean(), abs=0.012)


def test_the_interval_of_r2() -> None:
    # without a relation, r √(n - 2) / √(1 - r²) is t with n - 2 degrees of freedom: its 97.5 % point is where low is 0
    t = stats.t.ppf(0.975, 6)
    r = t / math.sqrt(6 + t**2)
    assert explained.interval(r - 1e-3, 8)[0] == 0
    assert 0 < explained.interval(r + 1e-3, 8)[0] < 1e-3
    low, high = explained.interval(math.sqrt(0.8), 6)
    assert (low, high) == pytest.approx((0.0745, 0.9636), abs=1e-3)
    assert explained.interval(-math.sqrt(0.8), 6) == pytest.approx((low, high), abs=1e-4)
    assert explained.interval(0.0, 6)[0] == 0
    assert all(
        math.isnan(end) for r, n in ((0.5, 3), (1.0, 6), (math.nan, 6)) for end in explained.interval(r, n)
    )
