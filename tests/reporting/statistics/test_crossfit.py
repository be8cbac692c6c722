"""Cross-fitted scores, their jackknife error and networks compared: hand-worked, by loops and scipy."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from unseen.reporting.statistics.crossfit import at_best, cross_fit, difference
from unseen.reporting.statistics.intervals import Floats

THREE = np.array([[0.6, 0.5, 0.1], [0.1, 0.4, 0.7], [0.2, 0.9, 0.4]])


def test_by_hand() -> None:
    found = cross_fit(THREE, at_best)
    # means of the others: (.15 .65 .55), (.4 .7 .25), (.35 .45 .4): layer 1 each time
    assert found.scores.tolist() == [0.5, 0.4, 0.9]
    # without the first: .7 > .4 chooses layer 2 for the third: .4; layer 1 for the second: .4; and so on
    assert found.without_unit == pytest.approx([(0.4 + 0.4) / 2, (0.5 + 0.2) / 2, (0.1 + 0.1) / 2])
    # mean .28333, squares .013611 + .004444 + .033611 = .051667, times 2/3, root
    assert found.error.total == pytest.approx(math.sqrt(0.051667 * 2 / 3), abs=1e-5)
    assert found.estimate.mean == pytest.approx(0.6)
    assert found.estimate.std == pytest.approx(math.sqrt(0.07))  # squares .01 + .04 + .09, half of it
    assert found.estimate.high == pytest.approx(0.6 + 4.30265 * 0.18559, abs=1e-4)


def test_repetitions_that_are_equal_by_chance_are_no_precision() -> None:
    """Three class splits of two real networks: differences .119, .070, .192, their jackknife error .0009."""
    layers = [[0.507, 0.525, 0.647, 0.563], [0.504, 0.545, 0.620, 0.616], [0.446, 0.469, 0.443, 0.438]]
    first, second = np.array(layers), np.array([[0.528], [0.550], [0.252]])
    found = difference(first, second)
    scores = cross_fit(first, at_best).scores - second[:, 0]
    assert scores == pytest.approx([0.119, 0.070, 0.191], abs=1e-9)
    assert found.g.high - found.g.mean == pytest.approx(4.30265 * scores.std(ddof=1) / math.sqrt(3), abs=1e-4)
    assert found.p > 0.05


def by_loops(values: Floats) -> list[float]:
    return [
        values[unit, np.delete(values, unit, axis=0).mean(axis=0).argmax()] for unit in range(len(values))
    ]


@pytest.mark.parametrize("n", [3, 4, 7])
@pytest.mark.parametrize("layers", [1, 2, 6])
def test_against_loops(n: int, layers: int) -> None:
    values = np.random.default_rng(n * layers).normal(size=(n, layers))
    found = cross_fit(values, at_best)
    assert found.scores == pytest.approx(by_loops(values))
    without = [np.mean(by_loops(np.delete(values, unit, axis=0))) for unit in range(n)]
    assert found.without_unit == pytest.approx(without)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_sure_choice_is_the_t_test(layers: int) -> None:
    values = np.random.default_rng(1).normal(size=(5, layers))
    values[:, 0] += 50 * (layers > 1)
    found, theirs = cross_fit(values, at_best), ttest_1samp(values[:, 0], 0)
    assert found.estimate.low == pytest.approx(theirs.confidence_interval().low)
    assert found.estimate.high == pytest.approx(theirs.confidence_interval().high)


def test_few_units() -> None:
    one, two = (cross_fit(THREE[:n], at_best) for n in (1, 2))
    assert one.estimate.n == 1
    assert math.isnan(one.estimate.mean)  # nothing to choose on
    assert two.scores.tolist() == [0.1, 0.1]  # each at the best layer of the other
    assert math.isnan(two.estimate.low)
    assert math.isnan(two.p_above)
    assert math.isnan(cross_fit(THREE[:0], at_best).estimate.mean)


def test_networks_with_a_sure_choice_are_the_paired_t_test() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(6, 1))
    first, second = shared + 0.2 * rng.normal(size=(6, 5)), shared + 0.2 * rng.normal(size=(6, 3))
    first[:, 2] += 20.2
    second[:, 1] += 20
    found, theirs = difference(first, second), ttest_rel(first[:, 2], second[:, 1])
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.g.low == pytest.approx(theirs.confidence_interval().low)
    assert found.first_above == (first[:, 2] > second[:, 1]).sum()
    other = difference(second, first)
    assert (other.p, other.g.mean) == (pytest.approx(found.p), pytest.approx(-found.g.mean))


def test_networks_are_compared_over_the_units_of_both() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    first[0], second[4, 1] = np.nan, np.nan
    found = difference(first, second)
    assert found.g.n == 3
    assert found == difference(first[1:4], second[1:4])
    apart = np.full((5, 4), np.nan)
    apart[0] = 1
    assert difference(apart, first).g.n == 0
    assert math.isnan(difference(apart, first).p)


def test_two_shared_units_have_no_p() -> None:
    found = difference(THREE[:2], THREE[:2] - 0.3)
    assert found.g.mean == pytest.approx(0.3)
    assert math.isnan(found.p)
    assert math.isnan(found.g.low)
