"""The published correlations, number for number, and what is added to them, against statsmodels and by hand."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm, rankdata
from statsmodels.stats.dist_dependence_measures import distance_correlation as of_statsmodels
from statsmodels.stats.multitest import multipletests

from unseen.reporting.biases.correlations import correlate, correlate_biases, correlate_subsets
from unseen.reporting.biases.networks import BIASES, GROUPS, PUBLISHED, Networks, published_networks
from unseen.reporting.statistics.association import spearman
from unseen.reporting.statistics.rank_correlation import (
    distance_correlation,
    interval,
    partial_spearman_by_t,
    spearman_by_t,
)

# arXiv 2404.01509: ID, Robustness, Concepts, Adversarial; 0 where p >= .05
PAPER = {
    "shape_bias": {"total": [-0.76, -0.53, 0, 0.47], "AT": [-0.98, -0.91, 0, 0], "other": [-0.6, 0, 0.41, 0]},
    "low_freq_bias": {
        "total": [0, 0, 0.29, 0.73],
        "AT": [-0.99, -0.91, 0, 0],
        "other": [0, 0.48, 0.61, 0.53],
    },
    "high_freq_bias": {
        "total": [0.65, 0.79, 0.53, -0.4],
        "AT": [0.81, 0.75, 0, -0.59],
        "other": [0.4, 0.61, 0.59, 0.53],
    },
    "cb_bandwidth": {
        "total": [-0.72, -0.76, -0.31, 0.49],
        "AT": [-0.72, -0.62, 0, 0.65],
        "other": [-0.57, -0.54, 0, 0],
    },
    "cb_center_freq": {"total": [0, 0, 0, 0], "AT": [0, 0, 0, 0], "other": [0, 0, 0, 0]},
    "cb_peak_noise_sens": {
        "total": [0.3, 0, 0, -0.43],
        "AT": [0.81, 0.81, 0, 0],
        "other": [0, 0, -0.38, -0.39],
    },
}
BIAS_BY_BIAS = [  # all 48, in the order of BIASES
    [1.0, 0.6599, -0.315784, 0.621869, -0.16206, -0.476291],
    [0.6599, 1.0, -0.268997, 0.585502, -0.02538, -0.489339],
    [-0.315784, -0.268997, 1.0, -0.792939, -0.288631, 0.084982],
    [0.621869, 0.585502, -0.792939, 1.0, 0.178204, -0.180032],
    [-0.16206, -0.02538, -0.288631, 0.178204, 1.0, 0.05262],
    [-0.476291, -0.489339, 0.084982, -0.180032, 0.05262, 1.0],
]


@pytest.fixture(scope="module")
def networks() -> Networks:
    return published_networks()


def test_all_72_and_36_published_numbers(networks: Networks) -> None:
    rows = correlate_subsets(networks)
    assert [len(part) for part in networks.subsets().values()] == [48, 15, 33]
    ours = {(row.subset, row.bias, row.group): row.as_published for row in rows}
    assert ours == {
        (subset, bias, group): number
        for bias, of_subsets in PAPER.items()
        for subset, numbers in of_subsets.items()
        for group, number in zip(GROUPS, numbers, strict=True)
    }
    square = np.reshape([row.spearman for row in correlate_biases(networks)], (6, 6))
    np.testing.assert_allclose(square, BIAS_BY_BIAS, atol=1e-6)
    np.testing.assert_array_equal(square.round(2), np.round(BIAS_BY_BIAS, 2))


def test_group_means_and_frequency_biases_of_a_network(networks: Networks) -> None:
    # resnet50_simclrv2: (74.9 + 61.24 + 85.583) / 3 and so on, from its row of the table
    at = networks.names.index("resnet50_simclrv2")
    means = [networks.groups[group][at] for group in GROUPS]
    assert means == pytest.approx([73.907607, 29.903235, 34.195221, 14.570013], abs=1e-5)
    biases = [networks.biases[bias][at] for bias in BIASES]
    assert biases == pytest.approx([0.226737, 0.550371, 0.007514, 4.738505, 38.854456, 1.0], abs=1e-5)


def test_both_defects_are_in_the_table() -> None:
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # whole numbers of right answers: among 326 images of a batch, and among 50,048 of which 48 are none
    for column, images in (("imagenet_real", 326), ("pgd40_low", 50_048)):
        right = np.array([float(row[column]) for row in rows]) / 100 * images
        np.testing.assert_allclose(right, right.round(), atol=1e-4)
    assert len({round(float(row["imagenet_real"]), 6) for row in rows}) == 26


def test_variants_change_what_they_say() -> None:
    published, without = published_networks(), published_networks(real=False)
    corrected = published_networks(corrected_pgd=True)
    assert without.groups["ID"][1] == pytest.approx((74.90000000488281 + 61.23999996337891) / 2)
    # 48 of 50,048 counted as withstood is an accuracy of zero
    assert corrected.groups["Adversarial"] == pytest.approx(
        (published.groups["Adversarial"] / 100 * 50_048 - 48) / 50_000 * 100
    )
    # what the reference says of leaving ReaL out: one significance turns, .33 (p .058) becomes .36 (p .040)
    row = next(
        row
        for row in correlate_subsets(without)
        if (row.subset, row.bias, row.group) == ("other", "cb_center_freq", "ID")
    )
    assert (round(row.spearman, 2), round(row.p, 3)) == (0.36, 0.04)


def test_benjamini_hochberg_is_within_a_subset(networks: Networks) -> None:
    rows = correlate(networks.subsets()["AT"], "AT")
    expected = multipletests([row.p for row in rows], method="fdr_bh")[1]
    assert [row.p_adjusted for row in rows] == pytest.approx(expected)


@pytest.mark.parametrize("subset", ["total", "AT"])
def test_partial_correlation_is_the_coefficient_of_a_regression(networks: Networks, subset: str) -> None:
    of = networks.subsets()[subset]
    x, y, z = of.biases["cb_bandwidth"], of.groups["Concepts"], of.groups["ID"]
    rho, p = partial_spearman_by_t(x, y, z)
    fit = sm.OLS(rankdata(y), sm.add_constant(np.column_stack([rankdata(x), rankdata(z)]))).fit()
    assert p == pytest.approx(fit.pvalues[1])
    t = fit.tvalues[1]
    assert rho == pytest.approx(t / math.sqrt(t**2 + len(x) - 3))


def test_distance_correlation_sees_what_rises_and_falls(networks: Networks) -> None:
    x, y = networks.biases["shape_bias"], networks.groups["Adversarial"]
    assert distance_correlation(x, y)[0] == pytest.approx(of_statsmodels(x, y))
    # a parabola: no rank correlation, and a distance correlation far above chance
    x = np.arange(-20.0, 21)
    assert spearman_by_t(x, x**2)[0] == pytest.approx(0, abs=1e-12)
    assert distance_correlation(x, x**2)[1] < 0.01


@pytest.mark.parametrize("n", [15, 33, 48])
@pytest.mark.parametrize("bias", ["cb_bandwidth", "cb_peak_noise_sens"])
def test_intervals_hold_the_true_correlation_with_the_ties_of_the_table(
    networks: Networks, n: int, bias: str
) -> None:
    values = np.sort(networks.biases[bias])

    def rhos(samples: int, size: int, seed: int) -> np.ndarray:
        x, noise = np.random.default_rng(seed).standard_normal((2, samples, size))
        y = 0.6 * x + 0.8 * noise
        x = values[np.minimum((norm.cdf(x) * 48).astype(int), 47)]
        x, y = (rankdata(side, axis=1) - (size + 1) / 2 for side in (x, y))
        with np.errstate(invalid="ignore"):  # all networks tied
            return (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))

    true = rhos(1, 200_000, 0)[0]
    ends = np.array([interval(rho, n) for rho in rhos(1000, n, 1) if math.isfinite(rho)])
    covered = ((ends[:, 0] <= true) & (true <= ends[:, 1])).mean()
    assert covered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 1000)


def test_edges() -> None:
    four = np.array([1.0, 2, 3, 4])
    assert all(map(math.isnan, spearman_by_t(four, np.ones(4))))
    assert all(map(math.isnan, distance_correlation(four, np.ones(4))))
    assert all(map(math.isnan, partial_spearman_by_t(four, four[::-1], four)))
    assert all(map(math.isnan, interval(1.0, 4)))  # four in one order are no certainty
    assert all(map(math.isnan, interval(0.5, 3)))


def test_a_gap_leaves_one_network_out_of_its_rows_only(networks: Networks) -> None:
    few = networks.only(range(6))
    gap = few.biases["cb_bandwidth"].copy()
    gap[2] = np.nan
    rows = correlate(replace(few, biases={**few.biases, "cb_bandwidth": gap}))
    assert {row.n for row in rows if row.bias == "cb_bandwidth"} == {5}
    assert {row.n for row in rows if row.bias != "cb_bandwidth"} == {6}
    row = next(row for row in rows if (row.bias, row.group) == ("cb_bandwidth", "Concepts"))
    assert row.p_permutation == spearman(gap, few.groups["Concepts"]).p


def test_three_networks_are_refused(networks: Networks) -> None:
    words = (
        r"needs 4 of them at least, and there are 3: resnet50_diffusionnoise_fixed_nonoise, resnet50_simclrv2"
    )
    with pytest.raises(ValueError, match=words):
        correlate(networks.only(range(3)))
