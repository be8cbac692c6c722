"""Accuracy of clusters by the best assignment, and the number of classes by the silhouette."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import silhouette_score

from unseen.probes import ProbeSuite, cluster_accuracy, run_probes
from unseen.probes import clustering as clustering_module
from unseen.probes import discovery as discovery_module


def test_accuracy_hand_worked():
    # Cluster 0 has 2 of class a, cluster 1 has 2 of b and 1 of a: 4 of 5, and 4 of 6 with a cluster too many.
    assert cluster_accuracy(["a", "a", "a", "b", "b"], [0, 0, 1, 1, 1]) == pytest.approx(4 / 5)
    assert cluster_accuracy([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 2]) == pytest.approx(4 / 6)
    assert cluster_accuracy([0, 0, 1, 1, 2], [4, 4, 4, 4, 4]) == pytest.approx(
        2 / 5
    )  # one cluster: one class
    # The larger cell of each row would take cluster 0 twice; the best is 3 + 3, not 4 + 1.
    assert cluster_accuracy([0] * 7 + [1] * 4, [0] * 4 + [1] * 3 + [0] * 3 + [1]) == pytest.approx(6 / 11)


def test_accuracy_is_the_best_of_all_assignments():
    rng = np.random.default_rng(0)
    labels, assigned = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
    best = max(np.mean(np.array(order)[assigned] == labels) for order in itertools.permutations(range(4)))
    assert cluster_accuracy(labels, assigned) == pytest.approx(best)


def probed(points, labels, **settings):
    return run_probes(points, labels, ProbeSuite(probes=["clusters"], discovery=True, **settings))


def test_well_separated_classes_are_counted():
    points, labels = make_blobs(200, n_features=4, centers=5, cluster_std=0.3, random_state=1)
    scores = probed(points, labels, n_init=3)
    assert (scores["class_count_error"], scores["cluster_accuracy"]) == (0.0, 1.0)
    assert scores["cluster_accuracy_estimated"] == 1.0
    # two of five named as one: 4 clusters are found, and of the merged 80 images 40 are right
    scores = probed(points, np.where(labels == 4, 3, labels), n_init=3)
    assert (scores["class_count_error"], scores["cluster_accuracy_estimated"]) == (1.0, 0.8)


@pytest.mark.parametrize("most", [2000, 60])
def test_the_estimate_is_that_of_scikit_learn(most, monkeypatch, blobs):
    monkeypatch.setattr(discovery_module, "_MOST_IMAGES", most)
    embeddings, labels = blobs  # 90 images: up to 9 clusters, of 60 of them up to 7
    rows = discovery_module.at_most(most, 90, 42).numpy()
    some = embeddings[rows]
    assigned = {
        number: KMeans(number, n_init=10, random_state=42).fit_predict(some - some.mean(0))
        for number in range(2, math.isqrt(len(rows)) + 1)
    }
    best = max(assigned, key=lambda number: silhouette_score(some, assigned[number]))
    scores = probed(embeddings, labels)
    assert scores["class_count_error"] == best - 3
    whole = KMeans(best, n_init=10, random_state=42).fit_predict(embeddings - embeddings.mean(0))
    assert scores["cluster_accuracy_estimated"] == cluster_accuracy(labels, whole)
    given = KMeans(3, n_init=10, random_state=42).fit_predict(embeddings - embeddings.mean(0))
    assert scores["cluster_accuracy"] == cluster_accuracy(labels, given)


def test_k_means_runs_once_for_each_number_of_clusters(monkeypatch, blobs):
    numbers = []
    run = clustering_module.cluster

    def counted(points, number, **settings):
        numbers.append(number)
        return run(points, number, **settings)

    for module in (clustering_module, discovery_module):
        monkeypatch.setattr(module, "cluster", counted)
    probed(*blobs, n_init=1)
    assert sorted(numbers) == list(range(2, 10))


@pytest.mark.filterwarnings("ignore::unseen.probes.inputs.ProbeWarning")
def test_what_cannot_be_estimated(blobs):
    embeddings, labels = blobs
    scores = probed(torch.zeros(90, 5), labels)
    assert scores["cluster_accuracy"] == pytest.approx(40 / 90)  # one cluster: the largest class
    assert math.isnan(scores["cluster_accuracy_estimated"])
    assert math.isnan(scores["class_count_error"])
    alone = probed(embeddings, np.zeros(90, int))
    assert all(math.isnan(alone[name]) for name in discovery_module.DISCOVERY_SCORES)
    tiny = probed([[0.0], [1.0], [5.0]], [0, 0, 1], n_init=1)
    assert (tiny["cluster_accuracy"], math.isnan(tiny["class_count_error"])) == (1.0, True)
