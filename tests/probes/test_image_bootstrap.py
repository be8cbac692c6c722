"""Scores of resampled images: hand-worked, against plain resampling, and as rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from unseen.probes import ProbeSuite, run_probes
from unseen.probes.image_bootstrap import mean_sd, nmi_of, nmi_sd


def resampled(labels, rng):
    """Positions drawn with replacement within each class, (N,)."""
    return np.concatenate([rng.choice(own, len(own)) for own in map(np.flatnonzero, np.eye(3)[labels].T > 0)])


def test_spread_of_a_mean_hand_worked():
    # Class 0 has a 0 and a 1: two draws of variance 1/4. Class 1 cannot vary. Their sum has variance 1/2, five images.
    values, targets = torch.tensor([0.0, 1, 1, 1, 1, math.nan]), torch.tensor([0, 0, 1, 1, 1, 2])
    assert mean_sd(values, targets) == pytest.approx(math.sqrt(1 / 2) / 5)
    assert mean_sd(values.flip(0), targets.flip(0)) == pytest.approx(math.sqrt(1 / 2) / 5)
    assert math.isnan(mean_sd(values[5:], targets[5:]))


def test_spread_of_the_nmi_hand_worked():
    # Two images a class, and a class a cluster but for one image. It is drawn 0, 1 or 2 times in 2 with chances
    # 1/4, 1/2, 1/4, and the NMI is 1, that of [[1, 1], [0, 2]], or 0 where all images are in one cluster.
    partly = nmi_of(np.array([[1, 1], [0, 2]]))
    mean = 1 / 4 + partly / 2
    expected = math.sqrt((1 - mean) ** 2 / 4 + (partly - mean) ** 2 / 2 + mean**2 / 4)
    assert partly == pytest.approx(0.343711, abs=1e-6)
    assert nmi_sd(np.array([[1, 1], [0, 2]]), draws=4000, seed=0) == pytest.approx(expected, rel=0.03)
    assert nmi_sd(np.diag([5, 5]), draws=10, seed=0) == 0


def test_spread_of_the_nmi_is_that_of_resampled_pairs():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [20, 30, 40])
    clusters = np.where(rng.random(90) < 0.6, labels, rng.integers(0, 3, 90))
    table = contingency_matrix(labels, clusters)
    assert nmi_of(table) == pytest.approx(normalized_mutual_info_score(labels, clusters))
    drawn = [resampled(labels, rng) for _ in range(1000)]
    expected = np.std([normalized_mutual_info_score(labels[own], clusters[own]) for own in drawn])
    # both are known to 1 / sqrt(2 x 1000) = 2 %
    assert nmi_sd(table, draws=1000, seed=0) == pytest.approx(expected, rel=0.1)
    assert (
        nmi_sd(table, draws=50, seed=0) == nmi_sd(table, draws=50, seed=0) != nmi_sd(table, draws=50, seed=1)
    )


def test_rows_are_added_and_others_stay(blobs):
    embeddings, labels = blobs
    plain = run_probes(embeddings, labels, ProbeSuite(n_init=2))
    found = run_probes(embeddings, labels, ProbeSuite(n_init=2, image_bootstrap=300))
    added = {name: value for name, value in found.items() if name not in plain}
    assert found == plain | added
    assert list(added) == ["nmi_image_sd", "nn1_image_sd", "nnk_image_sd", "r_precision_image_sd"]
    assert all(0 < value < 0.1 for value in added.values())
    # hits of a share s of one class vary by at most s (1 - s) an image
    assert added["nn1_image_sd"] <= math.sqrt(plain["nn1"] * (1 - plain["nn1"]) / 90)


def test_hits_are_those_of_their_own_class():
    # Class 7 lies together, so all are hits; of class 5 the first is nearest to class 7, a miss, the others to one
    # another. Only class 5 varies, as six draws with a chance of 5/6. The order of the rows is mixed.
    points = np.concatenate([np.zeros((6, 1)), 10.0 ** np.arange(3, 9)[:, None]])
    labels, order = np.repeat([7, 5], 6), np.random.default_rng(0).permutation(12)
    found = run_probes(points[order], labels[order], ProbeSuite(probes=["neighbors"], k=1, image_bootstrap=2))
    assert 0.5 < found["nn1"] < 1
    assert found["nn1_image_sd"] == pytest.approx(math.sqrt(6 * (5 / 6) * (1 / 6)) / 12)
