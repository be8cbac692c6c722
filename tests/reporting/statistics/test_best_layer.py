"""g, the layers that may be the best, and the lead over the last: hand-worked, the method's values and scipy."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from unseen.reporting.statistics.best_layer import best_layers, generalization, lead
from unseen.reporting.statistics.crossfit import at_best, cross_fit
from unseen.reporting.statistics.intervals import complete

# Two units, three layers. Means .35, .45, .40: the papers' way gives layer 1 with .45.
# Largest of each unit: .6 (layer 0), .7 (layer 2). Each at the best layer of the other: .1 (2), .1 (0).
TWO = np.array([[0.6, 0.5, 0.1], [0.1, 0.4, 0.7]])


def test_g_by_hand() -> None:
    found = generalization(TWO)
    assert found is not None
    assert found.plain.mean == pytest.approx(0.45)
    assert found.plain.std == pytest.approx(math.sqrt(0.005))  # .5, .4: ddof 1
    assert math.isnan(found.plain.low)
    assert found.cross_fitted.mean == pytest.approx(0.1)
    assert (found.best_layer, found.wins.tolist()) == (1, [1, 0, 1])
    assert found.candidates.all()  # two units exclude nothing


def test_g_is_the_reference() -> None:
    nmi = np.random.default_rng(0).uniform(size=(5, 3, 7))[-1]  # the last of five steps: 3 seeds, 7 layers
    found = generalization(nmi)
    assert found is not None
    assert found.plain.mean == pytest.approx(0.7575058650002792, abs=1e-8)
    assert found.plain.std == pytest.approx(
        0.24451344158896685 * math.sqrt(3 / 2), abs=1e-8
    )  # theirs: ddof 0
    assert found.best_layer == 0
    assert found.cross_fitted == cross_fit(nmi, at_best).estimate


def test_ties_go_to_the_shallowest_layer() -> None:
    found = generalization(np.full((2, 2), 0.5))
    assert found is not None
    assert (found.best_layer, found.wins.tolist()) == (0, [2, 0])


def test_what_is_undefined_does_not_count() -> None:
    nmi = np.array([[np.nan, 0.1, 0.2], [np.nan, 0.9, 0.4], [np.nan, np.nan, 0.9], [0.1, 0.5, 0.3]])
    found = generalization(nmi)
    assert found is not None
    assert complete(nmi).dropped_layers.tolist() == [0]  # one of four has it
    assert complete(nmi).dropped_units.tolist() == [2]
    assert (found.best_layer, found.wins.tolist()) == (1, [0, 2, 1])
    assert found.plain.mean == pytest.approx(0.5)  # .1, .9, .5
    assert found.candidates.tolist() == [False, True, True]
    assert generalization(np.full((2, 3), np.nan)) is None


def test_one_unit() -> None:
    found = generalization(TWO[:1])
    assert found is not None
    assert (found.plain.mean, found.plain.n) == (0.6, 1)
    assert math.isnan(found.plain.std)
    assert math.isnan(found.cross_fitted.mean)


def test_candidates_by_hand() -> None:
    # differences of the first two layers: .1 .2 .3: mean .2, error .1 / sqrt(3), t 3.46 > 2.92 (one-sided .05)
    nmi = np.array([[0.6, 0.5], [0.6, 0.4], [0.6, 0.3]])
    assert best_layers(nmi).tolist() == [True, False]
    # with a third layer in between the limit is t 4.30
    assert best_layers(np.insert(nmi, 1, [0.55, 0.5, 0.45], axis=1)).tolist() == [True, True, True]


@pytest.mark.parametrize(("n", "layers"), [(3, 2), (5, 4), (10, 9)])
def test_candidates_are_those_of_scipy(n: int, layers: int) -> None:
    rng = np.random.default_rng(n)
    nmi = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, layers)) + np.linspace(0, 2, layers)
    expected = [
        all(
            ttest_rel(nmi[:, other], nmi[:, layer], alternative="greater").pvalue > 0.05 / (layers - 1)
            for other in range(layers)
            if other != layer
        )
        for layer in range(layers)
    ]
    assert best_layers(nmi).tolist() == expected
    assert not all(expected)


def test_equal_units_exclude_no_layer() -> None:
    assert best_layers(np.tile([0.1, 0.3, 0.2], (4, 1))).all()
    assert best_layers(np.random.default_rng(0).normal(size=(5, 1))).tolist() == [True]


def test_lead_by_hand() -> None:
    # the others choose layer 1 each time: .5 - .1, .4 - .7, .9 - .4
    found = lead(np.array([[0.6, 0.5, 0.1], [0.1, 0.4, 0.7], [0.2, 0.9, 0.4]]))
    assert found.nmi.mean == pytest.approx(0.2)
    assert found.by_chance == pytest.approx(2 / 3)
    assert found.p > 0.05


def test_a_sure_lead_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(4)
    nmi = 0.2 * rng.normal(size=(6, 4))
    nmi[:, 1] += 20
    nmi[:, 3] += 19
    found, theirs = lead(nmi), ttest_rel(nmi[:, 1], nmi[:, 3])
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.nmi.mean == pytest.approx((nmi[:, 1] - nmi[:, 3]).mean())
    assert found.nmi.low == pytest.approx(theirs.confidence_interval(0.95).low)


def test_opposite_layers_make_the_test_of_the_lead_two_sided() -> None:
    # t of one layer is -t of the other: one of them is above the last, whatever the sign
    unit = np.array([0.5, 0.3, 0.4, 0.6])
    nmi = np.stack([unit, -unit, np.zeros(4)], axis=1)
    expected = ttest_rel(unit, np.zeros(4)).pvalue
    assert lead(nmi).p == pytest.approx(expected)
    assert lead(-nmi).p == pytest.approx(expected)


def test_the_last_layer_does_not_lead_itself() -> None:
    rising = np.arange(4.0) + 0.1 * np.random.default_rng(5).normal(size=(5, 4))
    found = lead(rising)
    assert (found.nmi.mean, found.p) == (0, 1)
    alone = lead(rising[:, :1])
    assert (alone.by_chance, alone.nmi.mean) == (0, 0)
    assert math.isnan(alone.p)
    assert math.isnan(lead(rising[:2]).p)
    assert lead(np.full((3, 2), np.nan)).nmi.n == 0
