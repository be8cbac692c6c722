"""Our k-means walks scikit-learn's path: same starts, same steps, same end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from unseen.probes import kmeans
from unseen.probes.kmeans import Clustering, best_clustering


def cluster(points: np.ndarray, num_clusters: int, *, n_init: int, seed: int) -> list[Clustering]:
    return kmeans.cluster(torch.from_numpy(points), num_clusters, n_init=n_init, seed=seed)


def overlapping(samples, features, classes, seed=0):
    """Classes that overlap so much that k-means needs many steps and starts differ."""
    rng = np.random.default_rng(seed)
    spectrum = np.arange(1, features + 1.0) ** -0.7
    means = rng.normal(size=(classes, features)) * spectrum
    noisy = means[np.arange(samples) % classes] + rng.normal(size=(samples, features)) * spectrum
    return (noisy + 3).astype(np.float32)


def partition(assigned):
    """The same for all ways to number the clusters."""
    _, first, inverse = np.unique(assigned, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


@pytest.mark.parametrize("seed", [0, 1, 42])
@pytest.mark.parametrize(("samples", "features", "classes"), [(300, 7, 5), (700, 90, 12), (90, 200, 3)])
@pytest.mark.parametrize("n_init", [1, 4])
def test_equals_scikit_learn(samples, features, classes, n_init, seed):
    points = overlapping(samples, features, classes)
    with threadpool_limits(limits=1):
        oracle = KMeans(classes, n_init=n_init, random_state=seed).fit(points)
    mine = best_clustering(cluster(points, classes, n_init=n_init, seed=seed))
    assert np.array_equal(partition(mine.assigned), partition(oracle.labels_))
    assert mine.inertia == pytest.approx(oracle.inertia_, rel=1e-5)


def test_hand_worked_inertia():
    # Clusters {0, 2} and {10, 14}: centers 1 and 12, squared distances 1 + 1 + 4 + 4.
    (found,) = cluster(np.array([[0.0], [2.0], [10.0], [14.0]], dtype=np.float32), 2, n_init=1, seed=0)
    assert found.inertia == pytest.approx(10)
    assert found.assigned[0] == found.assigned[1] != found.assigned[2] == found.assigned[3]


def test_starts_come_from_one_stream_and_the_best_is_kept():
    points = overlapping(300, 7, 9)
    found = cluster(points, 9, n_init=5, seed=3)
    for one, other in zip(cluster(points, 9, n_init=2, seed=3), found, strict=False):
        assert torch.equal(one.assigned, other.assigned)
    assert len({round(one.inertia, 3) for one in found}) > 1
    assert best_clustering(found).inertia == min(one.inertia for one in found)


def test_steps_run_out(monkeypatch):
    monkeypatch.setattr(kmeans, "MAX_STEPS", 2)
    points = overlapping(700, 20, 8)
    with threadpool_limits(limits=1):
        oracle = KMeans(8, n_init=1, random_state=0, max_iter=2).fit(points)
    (mine,) = cluster(points, 8, n_init=1, seed=0)
    assert np.array_equal(partition(mine.assigned), partition(oracle.labels_))


def test_empty_clusters_are_filled_as_scikit_learn_does():
    # Three places, four clusters: one cluster can only be empty.
    points = np.repeat(np.array([[0.0, 0.0], [5.0, 1.0], [9.0, 9.0]], dtype=np.float32), 20, axis=0)
    for found in cluster(points, 4, n_init=3, seed=0):
        assert found.inertia == pytest.approx(0, abs=1e-6)
        assert len(np.unique(found.assigned)) == 3


@pytest.mark.parametrize("together", [1, 10**6])
def test_starts_side_by_side_are_the_starts_alone(together, monkeypatch):
    points = overlapping(500, 40, 6)
    expected = cluster(points, 6, n_init=3, seed=0)
    monkeypatch.setattr(kmeans, "_CENTERS_AT_ONCE", together)
    for one, other in zip(expected, cluster(points, 6, n_init=3, seed=0), strict=True):
        assert torch.equal(one.assigned, other.assigned)
        assert one.inertia == pytest.approx(other.inertia, rel=1e-6)
