"""Merging features that repeat changes no classifier."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.probes.logistic import fit_logistic
from unseen.probes.repeats import repeated_features


def test_hand_worked_features():
    # features 0, 2 and 4 are equal, and so are 3 and 5; 1 is alone
    features = np.array([[1.0, 2, 1, 7, 1, 7], [3, 4, 3, 0, 3, 0]])
    found = repeated_features(features)
    assert found.found
    assert found.first.tolist() == [0, 1, 3]
    assert found.group.tolist() == [0, 1, 0, 2, 0, 2]
    root3, root2 = np.sqrt([3, 2])
    assert np.allclose(found.merged(features), [[root3, 2, 7 * root2], [3 * root3, 4, 0]])
    # the logits stay: root3 x times w is three times x times w / root3
    weights = np.array([[5.0, 6.0, 8.0]])
    assert np.allclose(features @ found.spread(weights).T, found.merged(features) @ weights.T)
    assert np.square(found.spread(weights)).sum() == pytest.approx(np.square(weights).sum())


def test_features_that_all_differ_are_left_alone():
    features = np.random.default_rng(0).normal(size=(500, 20))
    found = repeated_features(features)
    assert not found.found
    assert found.first.tolist() == found.group.tolist() == list(range(20))


def test_equal_in_the_samples_looked_at_first_is_not_equal():
    features = np.zeros((1000, 3))
    features[1, 1] = 1  # not one of the 64 that are spread over the thousand
    found = repeated_features(features)
    assert found.group.tolist() == [0, 1, 0]


@pytest.mark.parametrize("features", [np.zeros((5, 4)), np.ones((1, 4))])
def test_constant_features_become_one(features):
    assert repeated_features(features).first.tolist() == [0]


@pytest.mark.parametrize("features", [10, 130])  # more than twice the samples are rotated, after the merging
@pytest.mark.parametrize("classes", [2, 4])
def test_grey_pixels_give_the_classifier_of_their_three_channels(classes, features):
    rng = np.random.default_rng(3)
    targets = np.arange(60) % classes
    grey = rng.normal(size=(60, features)) + targets[:, None] * rng.normal(size=features)
    three = np.concatenate([grey, grey, grey], axis=1)  # (N, 3 D)
    almost = three + rng.normal(size=three.shape) * 1e-9  # nothing repeats
    merged = fit_logistic(three, targets, gradient_norm=1e-6)
    plain = fit_logistic(almost, targets, gradient_norm=1e-6)
    assert merged.weights.shape == (classes, 3 * features)
    assert np.allclose(merged.weights, plain.weights, atol=1e-5)
    assert np.allclose(merged.bias, plain.bias, atol=1e-5)
