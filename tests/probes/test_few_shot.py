"""Few-shot accuracy: points placed by hand, scikit-learn on the same draws, and what is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestCentroid

from unseen.probes import ProbeSuite, ProbeWarning, few_shot_accuracy, run_probes
from unseen.probes.few_shot import DRAWS, _drawn


def test_points_placed_by_hand():
    # By one image: 0 or 2 stands for the class on the left, 10 or 30 for that on the right. The other left one is
    # always nearer to the left, as the middle is 5 or more. The other right one is right if 10 stands for it (30 is
    # beyond the middle), and if 30 does, 10 is left of the middle, 15 or 16. So 1 of 2 or 2 of 2: by half of the draws.
    points, labels = np.array([[0.0], [2.0], [10.0], [30.0]]), np.array([5, 5, 9, 9])
    support = _drawn(torch.tensor([0, 0, 1, 1]), 1, seed=0)  # (R, 2, 1)
    far = float((support[:, 1, 0] == 3).float().mean())
    assert 0.3 < far < 0.7
    assert few_shot_accuracy(points, labels, [1], seed=0)[1] == pytest.approx(1 - far / 2)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e20])
def test_equals_the_nearest_centroid_of_scikit_learn(scale):
    points, labels = make_blobs([20, 30, 40], n_features=12, cluster_std=6.0, random_state=3)
    points = points + 100  # a mean that is far from zero
    found = few_shot_accuracy(points * scale, labels, [2, 5, 19], seed=7)
    support = _drawn(torch.from_numpy(labels).long(), 19, seed=7).numpy()
    for shots, accuracy in found.items():
        shares = []
        for drawn in support[:, :, :shots]:
            rest = np.setdiff1d(np.arange(90), drawn)
            centroids = NearestCentroid().fit(points[drawn.ravel()], np.repeat([0, 1, 2], shots))
            shares.append(centroids.score(points[rest], labels[rest]))
        assert accuracy == pytest.approx(np.mean(shares))
    assert found[2] < found[5] < found[19]


def test_draws_are_of_the_class_each_once_and_those_of_fewer_the_first_of_more():
    targets = torch.tensor([0, 1, 0, 1, 0, 1, 1])
    support = _drawn(targets, 3, seed=0)
    assert support.shape == (DRAWS, 2, 3)
    assert (targets[support] == torch.tensor([0, 1])[:, None]).all()
    assert all(len(set(images)) == 3 for images in support.flatten(0, 1).tolist())
    assert support[:, 1].unique().tolist() == [1, 3, 5, 6]
    assert torch.equal(_drawn(targets, 1, seed=0), support[..., :1])
    assert not torch.equal(_drawn(targets, 3, seed=1), support)


def test_what_is_undefined_and_what_is_refused(blobs):
    embeddings, labels = blobs  # classes of 20, 30 and 40
    with pytest.warns(ProbeWarning, match="undefined for 20 images a class: the smallest class has 20"):
        found = few_shot_accuracy(embeddings, labels, [20, 1])
    assert math.isnan(found[20])
    assert found[1] == few_shot_accuracy(embeddings, labels, [1])[1]
    assert math.isnan(few_shot_accuracy(embeddings, np.zeros(90, int), [1])[1])
    # constant features: all means are equal, and the first class is named
    assert few_shot_accuracy(np.full((90, 3), 0.1), labels, [1])[1] == pytest.approx(19 / 87)
    with pytest.raises(ValueError, match="shots must be at least 1, got 0"):
        few_shot_accuracy(embeddings, labels, [0])
    with pytest.raises(ValueError, match="NaN or infinity"):
        few_shot_accuracy(np.full((90, 3), np.nan), labels, [1])


def test_rows_are_of_unseen_classes_and_others_stay(blobs):
    embeddings, labels = blobs
    plain = run_probes(embeddings, labels, ProbeSuite(n_init=2))
    suite = ProbeSuite(n_init=2, seed=3, few_shot=[1, 5], discovery=True)
    found = run_probes(embeddings, labels, suite.of("unseen"))
    added = [name for name in found if name not in plain]
    assert added == [
        "cluster_accuracy", "cluster_accuracy_estimated", "class_count_error", "few_shot_1", "few_shot_5",
    ]  # fmt: skip
    assert found["few_shot_5"] == few_shot_accuracy(embeddings, labels, [5], seed=3)[5]
    same = run_probes(embeddings, labels, ProbeSuite(n_init=2, seed=3))
    assert {name: found[name] for name in plain} == same
    for other in (suite.of("seen"), suite.of(""), suite.only("clusters", "neighbors", "few_shot", "linear")):
        assert run_probes(embeddings, labels, other) == same
