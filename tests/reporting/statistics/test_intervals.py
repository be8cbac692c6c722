"""t intervals, bands and complete units: hand-worked cases and scipy."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from unseen.reporting.statistics.crossed import Error
from unseen.reporting.statistics.intervals import band, complete, estimate, estimates, p_above


def test_estimate_by_hand() -> None:
    found = estimate(np.array([0.2, 0.4, 0.9]))
    assert found.mean == pytest.approx(0.5)
    # deviations -.3, -.1, .4: squares .09 + .01 + .16 = .26, half of it (ddof 1), root
    assert found.std == pytest.approx(math.sqrt(0.13))
    # t of 2 degrees of freedom: 4.3027; times .36056 / sqrt(3) = .20817
    assert (found.low, found.high) == (
        pytest.approx(0.5 - 0.89568, abs=1e-4),
        pytest.approx(1.39568, abs=1e-4),
    )
    assert found.n == 3


@pytest.mark.parametrize("n", [3, 5, 20])
def test_interval_is_that_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.5, 0.1, n)
    theirs = ttest_1samp(values, 0).confidence_interval()
    found = estimate(values)
    assert (found.low, found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_few_units_have_no_interval() -> None:
    none, one, two = (estimate(np.array(values)) for values in ([], [0.3], [0.2, 0.4]))
    assert [found.n for found in (none, one, two)] == [0, 1, 2]
    assert math.isnan(none.mean)
    assert (one.mean, two.mean) == (0.3, pytest.approx(0.3))
    assert math.isnan(one.std)
    assert two.std == pytest.approx(math.sqrt(0.02))
    assert all(math.isnan(found.low) and math.isnan(found.high) for found in (none, one, two))


def test_equal_units_have_no_interval() -> None:
    found = estimate(np.array([0.1, 0.1, 0.1, 0.1]))  # their standard deviation is 1e-17 by rounding
    assert found.mean == pytest.approx(0.1)
    assert math.isnan(found.low)


def test_missing_units_lower_n() -> None:
    assert estimate(np.array([0.2, np.nan, 0.4, 0.9])) == estimate(np.array([0.2, 0.4, 0.9]))


NAN = np.nan


@pytest.mark.parametrize(
    ("values", "units", "layers"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], [0, 1], [0, 1]),
        ([[1.0, 2.0], [3.0, NAN], [5.0, 6.0]], [0, 2], [0, 1]),  # the gap costs its unit
        (
            [[NAN, 2.0], [NAN, 4.0], [5.0, 6.0]],
            [0, 1, 2],
            [1],
        ),  # one of three has the layer: it costs the layer
        ([[NAN, 2.0], [3.0, 4.0], [NAN, NAN]], [1], [0, 1]),  # half of those measured have it
        ([[NAN, NAN], [NAN, NAN]], [], []),
        ([[1.0, NAN], [NAN, 1.0]], [], [0, 1]),  # no unit is complete
    ],
)
def test_complete_by_hand(values: list[list[float]], units: list[int], layers: list[int]) -> None:
    found = complete(np.array(values))
    assert (found.units.tolist(), found.layers.tolist()) == (units, layers)
    assert np.isfinite(found.values).all()
    assert found.values.shape == (len(units), len(layers))
    both = [*found.units.tolist(), *found.dropped_units.tolist()]
    assert sorted(both) == list(range(len(values)))
    assert sorted([*found.layers.tolist(), *found.dropped_layers.tolist()]) == [0, 1]


def test_means_are_over_the_same_units() -> None:
    values = np.array([[0.1, NAN, NAN], [0.3, 0.5, NAN], [0.5, 0.7, NAN], [0.9, 0.2, 0.1]])
    found = estimates(values)
    assert [one.n for one in found] == [3, 3, 0]
    assert found[0] == estimate(values[1:, 0])  # not over four units, because the second number has three
    assert found[1] == estimate(values[1:, 1])


@pytest.mark.parametrize("layers", [1, 4])
def test_band_is_bonferroni(layers: int) -> None:
    values = np.random.default_rng(layers).normal(size=(5, layers))
    for layer, found in enumerate(band(values)):
        theirs = ttest_1samp(values[:, layer], 0).confidence_interval(1 - 0.05 / layers)
        assert (found.low, found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_one_sided_p_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 6)
    theirs = ttest_1samp(values, 0, alternative="greater").pvalue
    assert p_above(values.mean(), Error(values.var(ddof=1) / 6, 5), 6) == pytest.approx(theirs)
    assert math.isnan(p_above(0.5, Error(0.01, 1), 2))
    assert p_above(0.5, Error(0.0, 4), 5) == 1.0  # equal to the last bit: no replicates
