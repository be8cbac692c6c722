"""The linear probe: its split, its edges, its values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unseen.probes import ProbeWarning, linear_probe_accuracy
from unseen.probes.linear import binomial_error, linear_probe


def test_hand_worked_majority():
    # Constant features leave only the class shares: every test sample is called class 4, which the
    # stratified split gives 6 of 10 test samples (30 of 50, 20 of 50).
    labels = np.repeat([4, 9], [30, 20])
    assert linear_probe_accuracy(np.full((50, 3), 0.1), labels) == 0.6
    assert linear_probe_accuracy(np.full((50, 3), 0.1), labels, standardize=True) == 0.6


@pytest.mark.parametrize(
    ("sizes", "chance"), [([30, 20], 0.6), ([10, 80, 10], 0.8), ([25, 25, 25, 25], 0.25)]
)
def test_chance_is_the_share_of_the_largest_class_that_is_tested(sizes, chance):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(len(labels), 3)))
    assert linear_probe(noise, labels, seed=0, standardize=False)["linear_probe_chance"] == chance


def test_standard_error_hand_worked():
    # with two hits and two misses more 8 of 20 are right: sqrt(.4 x .6 / 20)
    assert binomial_error(6, 16) == pytest.approx(math.sqrt(0.012))
    assert binomial_error(16, 16) == pytest.approx(math.sqrt(0.9 * 0.1 / 20))  # all right is no certainty


def test_hand_worked_separable_and_not():
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 4
    corners = np.array([[0, 0], [0, 9], [9, 0], [9, 9]])[labels] + rng.uniform(-1, 1, (100, 2))
    assert linear_probe_accuracy(corners, labels) == 1.0
    # XOR: no line gets more than three of the four corners.
    assert linear_probe_accuracy(corners, np.array([0, 1, 1, 0])[labels]) <= 0.8


@pytest.mark.parametrize("standardize", [False, True])
def test_reference_values(reference, standardize):
    expected = reference.values["linear_probe_" + ("standardized" if standardize else "raw")]
    for inputs in (reference.embeddings, torch.from_numpy(reference.embeddings).float()):
        mine = linear_probe_accuracy(inputs, reference.labels + 80, standardize=standardize)
        assert mine == pytest.approx(expected, abs=reference.tolerances["linear_probe"])


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 42])
def test_equals_converged_scikit_learn(seed, standardize, blobs):
    embeddings, labels = blobs
    train, test, train_labels, test_labels = train_test_split(
        embeddings.astype(np.float64), labels, test_size=0.2, stratify=labels, random_state=seed
    )
    oracle = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=500)
    oracle = make_pipeline(StandardScaler(), oracle) if standardize else oracle
    expected = oracle.fit(train, train_labels).score(test, test_labels)
    assert linear_probe_accuracy(embeddings, labels, seed=seed, standardize=standardize) == expected


def test_settings_are_read(blobs):
    embeddings, labels = blobs
    assert len({linear_probe_accuracy(embeddings, labels, seed=seed) for seed in range(6)}) > 1
    stretched = embeddings * np.geomspace(1e-4, 1e2, 12)  # the penalty hides small features until scaled
    assert linear_probe_accuracy(stretched, labels) != linear_probe_accuracy(
        stretched, labels, standardize=True
    )
    assert linear_probe_accuracy(stretched, labels, standardize=True) == linear_probe_accuracy(
        embeddings, labels, standardize=True
    )


def test_one_class_is_undefined(blobs):
    assert math.isnan(linear_probe_accuracy(blobs[0], np.full(90, 80)))
    assert math.isnan(linear_probe_accuracy([[1.0]], [0]))


def test_single_sample_of_a_class_is_undefined_and_named(blobs):
    embeddings, labels = blobs[0], blobs[1] + 80
    labels[5] = 99
    with pytest.warns(ProbeWarning, match=r"single sample cannot be split \(labels 99\)") as caught:
        assert math.isnan(linear_probe_accuracy(embeddings, labels))
    assert caught[0].filename == __file__
    with pytest.warns(ProbeWarning, match=r"labels 0, 1, 2, 3, 4, \.\.\."):
        assert math.isnan(linear_probe_accuracy(embeddings, np.arange(90)))


def test_two_samples_a_class_are_enough(blobs):
    embeddings, labels = blobs
    labels = np.where(np.arange(90) < 2, 7, labels)
    assert 0 < linear_probe_accuracy(embeddings, labels) <= 1


def test_more_classes_than_test_samples_are_undefined():
    with pytest.warns(ProbeWarning, match="4 test samples cannot hold 10 classes"):
        assert math.isnan(linear_probe_accuracy(np.eye(20), np.arange(20) % 10))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e100, 1e140])
def test_features_of_any_scale_that_can_be_squared(scale, blobs):
    features, labels = blobs
    accuracy = linear_probe_accuracy(np.asarray(features, dtype=np.float64) * scale, labels)
    assert 0 <= accuracy <= 1


def test_values_too_large_to_be_squared_are_undefined(blobs):
    features, labels = blobs
    with pytest.warns(ProbeWarning, match=r"linear probe is undefined: values of .e\+20. are too large"):
        assert math.isnan(linear_probe_accuracy(np.asarray(features, dtype=np.float64) * 1e200, labels))
