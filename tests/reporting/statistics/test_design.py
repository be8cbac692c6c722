"""Splits and seeds: hand-worked variance components and intervals, power; against statsmodels."""

import math

import numpy as np
import pytest
from scipy.stats import t as student

from unseen.reporting.statistics.design import Components, components, needed, power
from unseen.reporting.statistics.intervals import estimate

# three splits, two seeds; grand mean 4, split means 2 4 6, seed means 3 5
TABLE = np.array([[1.0, 3.0], [2.0, 6.0], [6.0, 6.0]])


def test_components_by_hand() -> None:
    found = components(TABLE)
    # mean squares: splits 2 · 4 = 8, seeds 3 · 2 = 6; residuals 0 0, -1 1, 1 -1: 4 / 2 = 2
    assert found.split == pytest.approx((8 - 2) / 2)
    assert found.seed == pytest.approx((6 - 2) / 3)
    assert found.residual == pytest.approx(2)
    # variance of the split means 4 / 3, two degrees of freedom; of the seed means 2 / 2, one
    reach = math.sqrt(student.ppf(0.975, 2) ** 2 * 4 / 3 + student.ppf(0.975, 1) ** 2)
    both = estimate(TABLE)
    assert (both.mean, both.n) == (4, 3)
    assert (both.low, both.high) == (pytest.approx(4 - reach), pytest.approx(4 + reach))
    assert both.std == 2  # of the split means


def test_mean_squares_are_those_of_statsmodels() -> None:
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = np.random.default_rng(0).normal(size=(4, 5)) + np.arange(4)[:, None]
    cells = [(value, str(split), str(seed)) for (split, seed), value in np.ndenumerate(table)]
    frame = pd.DataFrame(cells, columns=["y", "split", "seed"])
    squares = anova_lm(ols("y ~ split + seed", frame).fit())["mean_sq"]
    found = components(table)
    assert found.residual == pytest.approx(squares["Residual"])
    assert found.split == pytest.approx((squares["split"] - squares["Residual"]) / 5)
    assert found.seed == pytest.approx(max(0, (squares["seed"] - squares["Residual"]) / 4))


def test_no_variance_is_below_zero() -> None:
    # the rows differ less than their residuals, and so do the columns
    found = components(np.array([[0.0, 1.0, 0.1], [1.0, 0.2, 0.0], [0.1, 0.0, 1.3]]))
    assert (found.split, found.seed) == (0, 0)


def test_without_seeds_effect_it_is_the_t_interval_of_split_means() -> None:
    table = np.array([[1.0, 2.0], [5.0, 4.0], [9.0, 9.0]])  # seed means 5 and 5
    assert estimate(table).high == pytest.approx(estimate(table.mean(axis=1)).high)


@pytest.mark.parametrize("shape", [(2, 4), (1, 4), (4, 1), (1, 1)])
def test_few_splits_or_seeds_have_no_interval_over_both(shape: tuple[int, int]) -> None:
    table = np.random.default_rng(1).normal(size=shape)
    found = components(table)
    assert math.isnan(estimate(table).low) == (shape[0] < 3)  # one seed: over the splits alone
    assert estimate(table).n == shape[0]
    assert math.isnan(found.split) == (1 in shape)
    assert math.isnan(found.residual) == (shape[1] == 1)


def test_gaps() -> None:
    table = np.pad(TABLE, ((0, 1), (0, 1)), constant_values=np.nan)
    table[3, 0] = 8.0  # a split with one seed of three, a seed that was never run
    assert components(table) == components(TABLE)
    assert estimate(table) == estimate(TABLE)
    empty = np.full((2, 2), np.nan)
    assert math.isnan(components(empty).residual)
    assert estimate(empty).n == 0


def test_equal_cells_have_no_interval() -> None:
    assert math.isnan(estimate(np.full((3, 3), 0.4)).low)


@pytest.mark.parametrize("n", [3, 5, 30])
@pytest.mark.parametrize("effect", [0.1, 0.8, 1.2])
def test_power_is_that_of_statsmodels(n: int, effect: float) -> None:
    from statsmodels.stats.power import TTestPower

    theirs = TTestPower().power(effect, n, alpha=0.05, alternative="two-sided")
    assert power(effect * 0.3, 0.3, n) == pytest.approx(theirs, abs=1e-6)
    assert power(-effect * 0.3, 0.3, n) == pytest.approx(theirs, abs=1e-6)


def test_needed() -> None:
    # the fewest with 80 %: one fewer is too few
    assert power(0.05, 0.04, 8) >= 0.8 > power(0.05, 0.04, 7)
    assert needed(0.05, 0.04) == 8
    assert needed(1.0, 0.001) == 3  # never below three units
    assert needed(0.0001, 1.0) is None
    assert power(1.0, 0.1, 2) == 0
    assert needed(0.1, 0.0) == 3


def test_what_seeds_do_to_all_splits_alike_is_not_made_less_by_splits() -> None:
    parts = Components(split=0.0016, seed=0.0, residual=0.0003)
    assert parts.splits_needed(0.05, 3) == needed(0.05, math.sqrt(0.0016 + 0.0001))
    assert parts.seeds_needed(0.05) == needed(0.05, math.sqrt(0.0003))
    # one seed that moves all splits by .05 as its standard deviation: no number of splits finds .05
    alike = Components(split=0.0016, seed=0.0025, residual=0.0003)
    assert alike.splits_needed(0.05, 1) is None
    assert alike.splits_needed(0.05, 100) == needed(0.05, math.sqrt(0.001603), alike=0.005)
    assert alike.seeds_needed(0.05) == needed(0.05, math.sqrt(0.0028))
    # an error of .03 / 3 of the units and of .01 for all alike: as one of .01 √2 with the same degrees of freedom
    assert power(0.04, 0.03, 9, alike=0.01) == pytest.approx(power(0.04, 0.03 * math.sqrt(2), 9))
