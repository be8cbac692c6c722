"""k-means against classes."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from unseen.probes import ProbeWarning, kmeans_agreement, kmeans_nmi

TWO_PAIRS = np.array([[0.0], [0.1], [10.0], [10.1]])  # k-means with k = 2: {0, 1} and {2, 3}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 0, 1, 1], 1.0),  # clusters are the classes
        ([1, 1, 0, 0], 1.0),  # under any names
        ([0, 1, 0, 1], 0.0),  # each cluster holds both classes alike: they tell nothing
        # Joint shares: (A, 0) 1/2, (B, 0) 1/4, (B, 1) 1/4. H(U) = ln 2 = 0.6931, H(V) = 0.5623,
        # H(U, V) = 1.0397, I = 0.6931 + 0.5623 - 1.0397 = 0.2158, divided by the mean entropy 0.6277.
        ([0, 0, 0, 1], 0.343711),
    ],
)
def test_hand_worked(labels, expected):
    assert kmeans_nmi(TWO_PAIRS, labels) == pytest.approx(expected, abs=1e-6)


def test_one_start_gives_the_papers_numbers(reference):
    tolerance = reference.tolerances[
        "kmeans_same_sklearn" if sklearn.__version__ == "1.9.1" else "kmeans_other_sklearn"
    ]
    expected = pytest.approx(reference.values["nmi"], abs=tolerance)
    assert kmeans_nmi(reference.embeddings, reference.labels, n_init=1) == expected
    single = torch.from_numpy(reference.embeddings).float()
    assert kmeans_nmi(single, torch.from_numpy(reference.labels) + 80, n_init=1) == expected


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_ten_starts_equal_scikit_learn(seed, blobs):
    embeddings, labels = blobs
    clusters = KMeans(5, n_init=10, random_state=seed).fit_predict(embeddings)
    assert kmeans_nmi(embeddings, labels, num_clusters=5, seed=seed) == pytest.approx(
        normalized_mutual_info_score(labels, clusters), abs=1e-12
    )


def test_seed_and_starts_are_read(blobs):
    embeddings, labels = blobs
    singles = {kmeans_nmi(embeddings, labels, n_init=1, seed=seed, num_clusters=8) for seed in range(6)}
    assert len(singles) > 1
    assert kmeans_nmi(embeddings, labels, num_clusters=8) != kmeans_nmi(embeddings, labels)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
def test_constant_features_score_zero_and_warn_once(value):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score = kmeans_nmi(np.full((30, 8), value, dtype=np.float32), np.arange(30) % 3)
    assert score == 0.0
    assert [w.category for w in caught] == [ProbeWarning]
    assert "found 1 distinct of 3 clusters" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_fewer_points_than_clusters_warn_and_score_what_there_is():
    # Two distinct points, three classes: clusters {0} and {1, 2}, so the NMI is that of this partition.
    embeddings = np.repeat([[0.0, 1.0], [5.0, 2.0]], [10, 20], axis=0)
    labels = np.repeat([0, 1, 2], 10)
    with pytest.warns(ProbeWarning, match="found 2 distinct of 3"):
        score = kmeans_nmi(embeddings, labels)
    assert score == pytest.approx(normalized_mutual_info_score(labels, labels > 0))


def test_one_class_is_undefined(blobs):
    assert math.isnan(kmeans_nmi(blobs[0], np.full(90, 83)))
    assert math.isnan(kmeans_agreement(blobs[0], np.full(90, 83)).ami)
    assert math.isnan(kmeans_nmi([[1.0, 2.0]], [5]))


def test_a_class_a_sample():
    # As many clusters as samples: every sample is its own cluster and its own class.
    assert kmeans_nmi(np.eye(4), [3, 1, 2, 0]) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [0, -1, 91])
def test_wrong_number_of_clusters(bad, blobs):
    with pytest.raises(ValueError, match=rf"num_clusters must be between 1 and N=90, got {bad}"):
        kmeans_nmi(*blobs, num_clusters=bad)


def test_wrong_number_of_starts(blobs):
    with pytest.raises(ValueError, match="n_init must be at least 1, got 0"):
        kmeans_nmi(*blobs, n_init=0)


def test_chance_is_the_mean_over_permuted_labels(blobs):
    embeddings, labels = blobs
    found = kmeans_agreement(embeddings, labels)
    clusters = KMeans(3, n_init=10, random_state=42).fit_predict(embeddings)
    rng = np.random.default_rng(0)
    permuted = [normalized_mutual_info_score(rng.permutation(labels), clusters) for _ in range(2000)]
    error = np.std(permuted) / math.sqrt(2000)
    assert found.chance == pytest.approx(np.mean(permuted), abs=4 * error)
    assert 0 < found.chance < found.nmi


def test_chance_hand_worked():
    # Clusters {0, 1}, {2, 3}; two labels of two samples each. Of the 6 arrangements 2 match the clusters (NMI 1), 4
    # put one of each label into each cluster (NMI 0): 1/3 on average.
    assert kmeans_agreement(TWO_PAIRS, [0, 1, 0, 1]).chance == pytest.approx(1 / 3)


def test_ami_hand_worked():
    # The clusters are the classes: 1. Else NMI 0 where permuted labels have 1/3: (0 - 1/3) / (1 - 1/3).
    assert kmeans_agreement(TWO_PAIRS, [0, 0, 1, 1]).ami == pytest.approx(1.0)
    assert kmeans_agreement(TWO_PAIRS, [0, 1, 0, 1]).ami == pytest.approx(-1 / 2)


def test_ami_is_that_of_the_same_clusters(blobs):
    embeddings, labels = blobs
    found = kmeans_agreement(embeddings, labels)
    clusters = KMeans(3, n_init=10, random_state=42).fit_predict(embeddings)
    assert found.ami == pytest.approx(adjusted_mutual_info_score(labels, clusters), abs=1e-12)
    assert found.ami == pytest.approx((found.nmi - found.chance) / (1 - found.chance), abs=1e-12)


def test_start_sd_is_that_of_the_single_starts(blobs):
    embeddings, labels = blobs
    stream = np.random.RandomState(7)  # scikit-learn's ten starts draw from one stream
    singles = [
        normalized_mutual_info_score(labels, KMeans(3, n_init=1, random_state=stream).fit_predict(embeddings))
        for _ in range(10)
    ]
    found = kmeans_agreement(embeddings, labels, seed=7)
    assert found.start_sd == pytest.approx(np.std(singles, ddof=1), abs=1e-9)
    assert math.isnan(kmeans_agreement(embeddings, labels, n_init=1).start_sd)


def test_constant_features_have_no_chance_level_and_no_spread():
    with pytest.warns(ProbeWarning, match="found 1 distinct of 3"):
        found = kmeans_agreement(np.ones((30, 4)), np.arange(30) % 3)
    assert (found.nmi, found.ami, found.chance, found.start_sd) == (0, 0, 0, 0)
