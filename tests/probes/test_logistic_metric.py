"""The metric is the matrix that its definition says, and it saves steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.probes import logistic, logistic_metric
from unseen.probes.logistic import fit_logistic
from unseen.probes.logistic_metric import hessian_metric
from unseen.probes.logistic_objective import Objective, softmax
from unseen.probes.row_blocks import row_threads

SAMPLES, FEATURES = 40, 6


@pytest.fixture
def threads():
    with row_threads() as found:
        yield found


def problem(classes, threads, *, dtype=np.float64):
    """An objective, probabilities (C, N) away from the start, and weights (C, D+1)."""
    rng = np.random.default_rng(0)
    design = np.column_stack([rng.normal(size=(SAMPLES, FEATURES)) * 3, np.ones(SAMPLES)])
    penalty = np.append(np.full(FEATURES, 0.7), 0.0)
    targets = np.arange(SAMPLES) % classes
    found = Objective(design.astype(dtype), targets, classes, penalty, threads)
    probabilities = softmax(rng.normal(size=(classes, SAMPLES)) * 2).astype(dtype)
    return found, probabilities, rng.normal(size=(classes, FEATURES + 1))


def block(probabilities):
    """S = diag(p) - p p^T of one sample, (C, C)."""
    return np.diag(probabilities) - np.outer(probabilities, probabilities)


def dense(objective, probabilities, chosen):
    """The metric's definition, sample by sample, (C (D+1), C (D+1)); class by class as weights are flattened."""
    classes = objective.num_classes
    average = np.diag(np.full(FEATURES + 1, objective.penalty[0]))  # on the intercept, too
    singled_out = np.zeros((classes * (FEATURES + 1),) * 2)
    for n, features in enumerate(objective.design):
        s = block(probabilities[:, n])
        left = np.trace(s)
        if n in chosen:
            direction = probabilities[:, n] - np.eye(classes)[objective.targets[n]]
            direction /= np.linalg.norm(direction)
            curvature = direction @ s @ direction
            left -= curvature
            singled_out += curvature * np.kron(np.outer(direction, direction), np.outer(features, features))
        average += left / (classes - 1) * np.outer(features, features)
    return np.kron(np.eye(classes), average) + singled_out


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("share", [1, 8, 100])  # all, five and none of the samples singled out
def test_solve_is_the_inverse_of_the_definition(classes, share, threads, monkeypatch):
    monkeypatch.setattr(logistic_metric, "SHARE", share)
    monkeypatch.setattr(logistic_metric, "_ROWS", 3)  # several blocks
    objective, probabilities, weights = problem(classes, threads)
    residuals = probabilities - np.eye(classes)[:, objective.targets]
    curvatures = [
        (r / np.linalg.norm(r)) @ block(p) @ (r / np.linalg.norm(r))
        for p, r in zip(probabilities.T, residuals.T, strict=True)
    ]
    chosen = set(np.argsort(curvatures)[::-1][: SAMPLES // share].tolist())
    metric = hessian_metric(objective, probabilities, single_out=True)
    assert (metric.singled_out is None) == (share == 100)
    matrix = dense(objective, probabilities, chosen)
    assert matrix @ metric.solve(weights).ravel() == pytest.approx(weights.ravel(), abs=1e-9)


def test_two_classes_all_singled_out_are_the_hessian(threads, monkeypatch):
    monkeypatch.setattr(logistic_metric, "SHARE", 1)
    objective, probabilities, weights = problem(2, threads)
    hessian = np.kron(np.eye(2), np.diag(np.full(FEATURES + 1, 0.7)))
    for p, features in zip(probabilities.T, objective.design, strict=True):
        hessian += np.kron(block(p), np.outer(features, features))
    metric = hessian_metric(objective, probabilities, single_out=True)
    assert metric.solve(weights).ravel() == pytest.approx(np.linalg.solve(hessian, weights.ravel()), abs=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e18])
def test_rounding_leaves_it_positive_definite(scale, threads, monkeypatch):
    """Two classes, all singled out: M is the bare penalty, beside which huge features leave no digits."""
    monkeypatch.setattr(logistic_metric, "SHARE", 1)
    objective, probabilities, _ = problem(2, threads, dtype=np.float32)
    objective.design[:, :-1] *= np.float32(scale)
    metric = hessian_metric(objective, probabilities, single_out=True)
    assert metric.singled_out is not None
    for weights in np.random.default_rng(1).normal(size=(50, 2, FEATURES + 1)):
        found = metric.solve(weights)
        assert np.isfinite(found).all()
        assert np.vdot(found, weights) > 0  # a step along it goes down


def test_a_sample_that_is_sure_is_not_taken_for_curved(threads, monkeypatch):
    """Its residual is so small that float32 cannot square it."""
    monkeypatch.setattr(logistic_metric, "SHARE", SAMPLES // 4)
    objective, probabilities, weights = problem(3, threads, dtype=np.float32)
    probabilities[:] = np.float32(1e-23)  # a margin of 53 nats
    probabilities[objective.targets, np.arange(SAMPLES)] = 1
    between = [3, 17, 20, 38]
    probabilities[:, between] = np.float32(1 / 3)
    metric = hessian_metric(objective, probabilities, single_out=True)
    assert np.array_equal(
        np.sort(metric.singled_out.features, axis=0), np.sort(objective.design[between], axis=0)
    )
    assert np.square(metric.singled_out.directions).sum(axis=0).max() <= 0.5  # m, of directions of length 1
    assert np.vdot(metric.solve(weights), weights) > 0


def test_number_of_threads_changes_no_bit():
    found = []
    rng = np.random.default_rng(0)
    design = rng.normal(size=(8 * 600, 300)).astype(np.float32)  # several blocks of everything
    targets = np.arange(len(design)) % 5
    probabilities = softmax(rng.normal(size=(5, len(design)))).astype(np.float32)
    weights = rng.normal(size=(5, 300))
    before = torch.get_num_threads()
    for count in (1, 3):
        torch.set_num_threads(count)
        try:
            with row_threads() as threads:
                objective = Objective(design, targets, 5, np.ones(300), threads)
                found.append(hessian_metric(objective, probabilities, single_out=True).solve(weights))
        finally:
            torch.set_num_threads(before)
    assert np.array_equal(*found)


def test_it_saves_steps_where_few_samples_are_between_classes(monkeypatch):
    """Of 30 classes most samples are far from all others.

    The steps of one fit depend on rounding, which differs from processor to processor: hence four data sets.
    """
    targets = np.arange(1500) % 30
    spread = 10 * np.arange(1, 81.0) ** -0.75
    steps = {logistic_metric.MOST: 0, 0: 0}
    gradient = Objective.gradient

    def count(self, weights, probabilities):
        steps[logistic_metric.MOST] += 1
        return gradient(self, weights, probabilities)

    monkeypatch.setattr(Objective, "gradient", count)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        features = (1.2 * rng.normal(size=(30, 80))[targets] + rng.normal(size=(1500, 80))) * spread
        fits = []
        for most in steps:
            monkeypatch.setattr(logistic_metric, "MOST", most)
            fits.append(fit_logistic(features, targets, gradient_norm=logistic.GRADIENT_NORM))
        assert all(fit.converged for fit in fits)
        found, expected = (softmax(fit.logits(features).T) for fit in fits)
        assert found == pytest.approx(expected, abs=1e-3)
    with_them, without = steps.values()
    assert with_them < 0.8 * without
