"""Class splits crossed with seeds: scores, errors, bands and candidates over both; hand-worked and by loops."""

import math

import numpy as np
import pytest
from scipy.stats import t as student

from unseen.reporting.statistics.best_layer import best_layers, generalization, lead
from unseen.reporting.statistics.crossed import Error
from unseen.reporting.statistics.crossfit import at_best, cross_fit, difference
from unseen.reporting.statistics.intervals import Floats, band, complete, estimate, estimates
from unseen.reporting.statistics.turning import turning

# three splits, two seeds, two layers
TABLE = np.array([[[0.6, 0.5], [0.2, 0.4]], [[0.7, 0.1], [0.3, 0.6]], [[0.5, 0.2], [0.1, 0.3]]])


def test_a_run_is_scored_by_runs_of_other_splits_and_other_seeds() -> None:
    # seed 1 is above at layer 1 in each split, seed 0 at layer 0: each seed chooses what the other is bad at
    found = cross_fit(TABLE, at_best)
    assert found.table.tolist() == [[0.5, 0.2], [0.1, 0.3], [0.2, 0.1]]
    assert found.mean == pytest.approx(1.4 / 6)
    assert found.without_unit == pytest.approx([0.7 / 4, 1.0 / 4, 1.1 / 4])
    # with one seed left it chooses on its own other splits: layer 1 of .4 .6 .3, layer 0 of .6 .7 .5
    assert found.without_seed == pytest.approx([1.3 / 3, 1.8 / 3])


def test_its_error_by_hand() -> None:
    found = cross_fit(TABLE, at_best)
    # splits: 2 / 3 of the squares of -.058333, .016667, .041667 (from the mean .23333)
    of_splits = 2 / 3 * (0.058333**2 + 0.016667**2 + 0.041667**2)
    of_seeds = 1 / 2 * 2 * (0.5 / 6) ** 2  # 1.3 / 3 and 1.8 / 3 lie .5 / 6 from their mean
    assert found.error.total == pytest.approx(math.sqrt(of_splits + of_seeds), rel=1e-4)
    reach = math.sqrt(student.ppf(0.975, 2) ** 2 * of_splits + student.ppf(0.975, 1) ** 2 * of_seeds)
    assert found.estimate.high == pytest.approx(found.mean + reach, rel=1e-4)
    assert found.estimate.std == pytest.approx(np.std([0.35, 0.2, 0.15], ddof=1))
    # p is the level at which the interval ends at zero
    t_splits, t_seeds = student.isf(found.p_above, [2, 1])
    assert math.sqrt(t_splits**2 * of_splits + t_seeds**2 * of_seeds) == pytest.approx(found.mean, rel=1e-4)


def by_loops(values: Floats) -> Floats:
    s, t, _ = values.shape
    scores = np.empty((s, t))
    for split, seed in np.ndindex(s, t):
        others = np.delete(values, split, axis=0)
        others = np.delete(others, seed, axis=1) if t > 1 else others
        scores[split, seed] = values[split, seed, others.mean(axis=(0, 1)).argmax()]
    return scores


@pytest.mark.parametrize("shape", [(3, 2, 4), (4, 3, 1), (5, 4, 6), (3, 1, 5)])
def test_against_loops(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    found = cross_fit(values, at_best)
    assert found.table == pytest.approx(by_loops(values))
    without = [by_loops(np.delete(values, split, axis=0)).mean() for split in range(shape[0])]
    assert found.without_unit == pytest.approx(without)
    if shape[1] > 1:
        without = [by_loops(np.delete(values, seed, axis=1)).mean() for seed in range(shape[1])]
        assert found.without_seed == pytest.approx(without)


def test_a_sure_choice_is_the_plain_mean_over_both() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 5)) + np.random.default_rng(1).normal(size=(3, 1))
    values[..., 2] += 50
    expected = estimate(values[..., 2])
    g = generalization(values)
    assert g is not None
    for found in (g.cross_fitted, estimates(values)[2]):
        assert (found.mean, found.std, found.low) == pytest.approx(
            (expected.mean, expected.std, expected.low)
        )
    assert (g.best_layer, g.plain.n, g.wins.tolist()) == (2, 4, [0, 0, 4, 0, 0])
    assert lead(values).nmi.low == pytest.approx(estimate(values[..., 2] - values[..., 4]).low)
    peak = turning(values)
    assert (peak.kind, peak.layer, peak.n) == ("peak", 2, 4)
    assert peak.p < 0.01


def test_one_seed_is_no_table() -> None:
    values = np.random.default_rng(2).normal(size=(5, 1, 4))
    assert cross_fit(values, at_best).estimate == cross_fit(values[:, 0], at_best).estimate
    assert band(values) == band(values[:, 0])
    assert best_layers(values).tolist() == best_layers(values[:, 0]).tolist()


def test_what_seeds_do_to_all_splits_alike_widens_every_interval() -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(size=(3, 3, 4)) + np.array([-8.0, 1.0, 7.0])[:, None]
    means = table.mean(axis=1)
    for found, of_means in zip(band(table), band(means), strict=True):
        assert found.mean == pytest.approx(of_means.mean)
        assert found.high - found.low > of_means.high - of_means.low
    # a difference of layers that each seed turns round is none over seeds
    table = 0.01 * rng.normal(size=(5, 2, 2)) + np.array([[0.0, 5.0], [0.0, -4.0]])
    assert best_layers(table.mean(axis=1)).tolist() == [False, True]
    assert best_layers(table).all()


def test_networks_are_paired_by_split_and_seed() -> None:
    rng = np.random.default_rng(4)
    shared = rng.normal(size=(4, 3, 1))
    first, second = shared + rng.normal(size=(4, 3, 5)), shared + rng.normal(size=(4, 3, 2))
    first[..., 1] += 20.5
    second[..., 0] += 20
    expected = estimate(first[..., 1] - second[..., 0])
    found = difference(first, second)
    assert (found.g.mean, found.g.low) == pytest.approx((expected.mean, expected.low))
    second[3, 0] = np.nan  # a third of its split, a quarter of its seed: the split is left out
    assert difference(first, second).g == difference(first[:3], second[:3]).g
    first[:, 1] = np.nan
    found = difference(first, second)
    assert found.g == difference(first[:3, [0, 2]], second[:3, [0, 2]]).g
    assert found.g.n == 3


def test_gaps_cost_the_split_or_the_seed_that_lacks_more() -> None:
    table = np.random.default_rng(5).normal(size=(3, 4, 2))
    table[1, 2, 0] = np.nan  # one of four runs of its split, of three runs of its seed
    found = complete(table)
    assert (found.units.tolist(), found.seeds.tolist()) == ([0, 1, 2], [0, 1, 3])
    table[1, :3] = np.nan
    found = complete(table)
    assert (found.units.tolist(), found.seeds.tolist()) == ([0, 2], [0, 1, 2, 3])
    empty = complete(np.full((3, 2, 4), np.nan))
    assert empty.units.size == 0
    assert generalization(np.full((3, 2, 4), np.nan)) is None


def test_p_of_two_parts() -> None:
    assert Error(0.04, 4).p_above(0.5) == pytest.approx(student.sf(2.5, 4))
    both = Error(0.04, 4, 0.01, 2)
    assert student.sf(2.5, 4) < both.p_above(0.5) < student.sf(0.5 / math.sqrt(0.05), 2)
    assert both.p_above(-0.5) == pytest.approx(1 - both.p_above(0.5))
    assert both.p_above(0.0) == 0.5
    assert both.reach(1 - both.p_above(0.3)) == pytest.approx(0.3)
    assert both.p_above(1e9) == pytest.approx(0, abs=1e-8)
    # equal parts and degrees of freedom: t² (a + b)
    assert Error(0.02, 3, 0.02, 3).p_above(0.4) == pytest.approx(student.sf(0.4 / 0.2, 3))


@pytest.mark.parametrize("seed", range(6))
def test_a_lead_is_shown_just_where_its_interval_is_above_zero(seed: int) -> None:
    values = np.random.default_rng(seed).normal((0.0, 2.0, 0.5), size=(4, 2, 3))
    found = lead(values)
    assert (found.nmi.low > 0) == (found.p < 0.05)
