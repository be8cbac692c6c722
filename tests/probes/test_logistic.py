"""The solver reaches the optimum that scikit-learn converges to, whatever the features look like."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.linear_model import LogisticRegression

from unseen.probes import ProbeWarning, logistic
from unseen.probes.logistic import LogisticModel


def layer_like(samples, features, classes, *, scale, decay=1.0, signal=1.0, seed=0):
    """Features as layers give them: rotated, spectrum falling as i ** -decay, with an offset."""
    rng = np.random.default_rng(seed)
    targets = np.arange(samples) % classes
    spectrum = np.arange(1, features + 1.0) ** -decay
    means = signal * rng.normal(size=(classes, features)) * spectrum
    rotation, _ = np.linalg.qr(rng.normal(size=(features, features)))
    noisy = (means[targets] + rng.normal(size=(samples, features)) * spectrum) @ rotation
    return (noisy + rng.normal(size=features)) * scale, targets


class Fitted:
    """A model with its tensors as arrays."""

    def __init__(self, model: LogisticModel) -> None:
        self.weights, self.bias, self.center = (x.numpy() for x in (model.weights, model.bias, model.center))
        self.converged = model.converged
        self._model = model

    def logits(self, features):
        return self._model.logits(torch.from_numpy(features)).numpy()


def fit_logistic(features, targets, **settings):
    return Fitted(logistic.fit_logistic(torch.from_numpy(features), torch.from_numpy(targets), **settings))


def objective(weights, bias, features, targets):
    log_probabilities = log_softmax(features @ weights.T + bias, axis=1)
    return -log_probabilities[np.arange(len(targets)), targets].sum() + 0.5 * np.square(weights).sum()


def test_hand_worked_two_points():
    # x = -1, +1 of classes 0, 1. By symmetry no intercept; 2 log(1 + e^-w) + w^2 / 2 is least where
    # w = 2 / (1 + e^w), i.e. w = 0.674830 (0.674830 * (1 + 1.963698) = 2.000000).
    model = fit_logistic(np.array([[-1.0], [1.0]]), np.array([0, 1]), gradient_norm=1e-5)
    assert model.weights[1, 0] - model.weights[0, 0] == pytest.approx(0.674830, abs=1e-5)
    assert model.bias == pytest.approx([0.0, 0.0], abs=1e-5)


def test_no_information_gives_the_class_shares():
    # Constant features: the penalty holds the weights at 0 and the free intercept fits the shares 1/4, 3/4.
    model = fit_logistic(np.ones((8, 3)), np.array([0, 0, 1, 1, 1, 1, 1, 1]), gradient_norm=1e-5)
    assert not model.weights.any()
    assert model.bias[1] - model.bias[0] == pytest.approx(np.log(3), abs=1e-5)


@pytest.mark.parametrize("scale", [0.05, 1.0, 50.0])
@pytest.mark.parametrize(
    ("samples", "features", "classes"), [(200, 10, 2), (150, 12, 3), (200, 20, 5), (40, 25, 4), (30, 90, 3)]
)
def test_coefficients_and_probabilities_equal_scikit_learn(samples, features, classes, scale):
    x, targets = layer_like(samples, features, classes, scale=scale)
    oracle = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-9, max_iter=500).fit(x, targets)
    mine = fit_logistic(x, targets, gradient_norm=1e-5 * max(1.0, scale) ** 0.5)
    assert mine.converged
    logits = mine.logits(x)
    if classes == 2:  # scikit-learn keeps the difference of the two weight vectors
        assert mine.weights[1] - mine.weights[0] == pytest.approx(oracle.coef_[0], abs=5e-5)
        assert logits[:, 1] - logits[:, 0] == pytest.approx(oracle.decision_function(x), abs=1e-4)
    else:
        assert mine.weights == pytest.approx(oracle.coef_, abs=5e-5)
        theirs = objective(oracle.coef_, oracle.intercept_, x, targets)
        ours = objective(mine.weights, mine.bias - mine.weights @ mine.center, x, targets)
        assert ours == pytest.approx(theirs, rel=1e-8)
    probabilities = np.exp(log_softmax(logits, axis=1))
    assert probabilities == pytest.approx(oracle.predict_proba(x), abs=2e-5)


def test_default_tolerance_is_within_its_bound():
    for scale in (0.05, 1.0, 50.0, 1000.0):
        x, targets = layer_like(300, 40, 6, scale=scale)
        exact, quick = fit_logistic(x, targets, gradient_norm=1e-5), fit_logistic(x, targets)
        gap = [objective(m.weights, m.bias - m.weights @ m.center, x, targets) for m in (quick, exact)]
        assert -1e-7 < gap[0] - gap[1] < 1e-4
        assert np.array_equal(quick.logits(x).argmax(axis=1), exact.logits(x).argmax(axis=1))


def newton(x, targets, penalty):
    """Weights (C, D) and bias (C,) by plain Newton steps with halving; scikit-learn's give up at 1e4."""
    design = np.column_stack([x, np.ones(len(x))])  # (N, D+1)
    classes, width = targets.max() + 1, design.shape[1]
    penalties = np.tile(np.append(np.full(width - 1, penalty), 0.0), classes)  # (C (D+1),)
    answers = np.eye(classes)[targets]

    def loss(flat):
        logits = design @ flat.reshape(classes, width).T
        return (logsumexp(logits, 1) - (answers * logits).sum(1)).sum() + 0.5 * (penalties * flat**2).sum()

    theta = np.zeros(classes * width)
    for _ in range(200):
        p = softmax(design @ theta.reshape(classes, width).T, axis=1)
        gradient = ((p - answers).T @ design).ravel() + penalties * theta
        curvature = p[:, :, None] * (np.eye(classes) - p[:, None, :])  # (N, C, C)
        hessian = np.einsum("nij,na,nb->iajb", curvature, design, design, optimize=True)
        hessian = hessian.reshape(len(theta), len(theta)) + np.diag(penalties)
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-15)[0]
        if gradient @ step < 1e-9 * loss(theta):
            break
        while loss(theta - step) > loss(theta):
            step = step / 2
        theta = theta - step
    theta = theta.reshape(classes, width)
    return theta[:, :-1], theta[:, -1]


@pytest.mark.parametrize("scale", [1e2, 1e3, 1e4])
@pytest.mark.parametrize(
    ("samples", "features", "classes", "signal", "decay"), [(100, 60, 4, 1.0, 1.5), (60, 80, 3, 0.1, 0.0)]
)
def test_large_features_that_separate_the_classes(samples, features, classes, signal, decay, scale, recwarn):
    """Their loss is far below that of small ones, so a gradient small enough for those is far from the optimum."""
    x, targets = layer_like(400 + samples, features, classes, scale=1.0, decay=decay, signal=signal)
    x, targets, new, answers = x[:samples], targets[:samples], x[samples:], targets[samples:]
    center = x.mean(0)
    weights, bias = newton(
        x - center, targets, scale**-2
    )  # in other units: features of scale 1, less penalty
    mine = fit_logistic(x * scale, targets)
    assert mine.converged
    assert not recwarn.list
    found, optimum = (
        objective(w, b, (x - center) * scale, targets)
        for w, b in ((mine.weights, mine.bias), (weights / scale, bias))
    )
    assert found == pytest.approx(optimum, rel=1e-5)
    assert np.linalg.norm(mine.weights * scale - weights) < 3e-3 * np.linalg.norm(weights)
    named = ((new - center) @ weights.T + bias).argmax(1)
    assert (mine.logits(new * scale).argmax(1) == named).mean() >= 0.995
    assert abs((mine.logits(new * scale).argmax(1) == answers).mean() - (named == answers).mean()) <= 0.005


def test_strength_is_scikit_learns():
    x, targets = layer_like(90, 6, 3, scale=1.0)
    oracle = LogisticRegression(C=0.01, solver="newton-cholesky", tol=1e-12).fit(x, targets)
    assert fit_logistic(x, targets, strength=0.01, gradient_norm=1e-5).weights == pytest.approx(
        oracle.coef_, abs=2e-5
    )


@pytest.mark.parametrize("decay", [0.5, 2.0])
def test_badly_scaled_features_converge_in_few_steps(decay, monkeypatch):
    # Plain L-BFGS takes hundreds to thousands of steps here; a bound on ours keeps the speed.
    monkeypatch.setattr(logistic, "MAX_STEPS", 150)
    x, targets = layer_like(400, 100, 5, scale=50.0, decay=decay)
    assert fit_logistic(x, targets).converged


def test_rotation_and_shift_do_not_matter_and_wide_data_are_reduced_exactly():
    x, targets = layer_like(30, 50, 3, scale=5.0)  # D < 2 N: solved as it is
    padded = np.column_stack([x, np.zeros((30, 50))])  # D > 2 N: solved in the span of the samples
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(100, 100)))
    plain = fit_logistic(x, targets, gradient_norm=1e-5)
    wide = fit_logistic(padded @ rotation + 1e3, targets, gradient_norm=1e-5)
    new = np.random.default_rng(2).normal(size=(20, 50)) * 5
    moved = np.column_stack([new, np.zeros((20, 50))]) @ rotation + 1e3
    assert wide.logits(moved) == pytest.approx(plain.logits(new), abs=1e-4)


def test_stopping_early_is_said(monkeypatch):
    monkeypatch.setattr(logistic, "MAX_STEPS", 2)
    x, targets = layer_like(100, 10, 3, scale=10.0)
    with pytest.warns(ProbeWarning, match=r"stopped at a gradient \S+ times its tolerance"):
        assert not fit_logistic(x, targets).converged


def test_features_that_vary_along_few_directions_take_few_steps(monkeypatch):
    """As in the first steps of a network from scratch: the norm of the gradient says little of the gap there."""
    random, classes = torch.Generator().manual_seed(0), 15
    labels = torch.arange(600) % classes
    means = torch.randn(classes, 120, generator=random) * 0.3
    spread = 100 * torch.arange(1, 121) ** -1.5
    points = (means[labels] + torch.randn(600, 120, generator=random)) * spread
    rotation, _ = torch.linalg.qr(torch.randn(120, 120, generator=random))
    x, targets = (points @ rotation).numpy(), labels.numpy()
    calls = []
    evaluate = logistic._Problem._evaluate
    monkeypatch.setattr(logistic._Problem, "_evaluate", lambda *given: calls.append(1) or evaluate(*given))
    quick = fit_logistic(x, targets)
    assert quick.converged
    assert len(calls) <= 80
    exact = fit_logistic(x, targets, gradient_norm=1e-3)
    assert (quick.logits(x).argmax(1) != exact.logits(x).argmax(1)).sum() <= 1


@pytest.mark.parametrize("scale", [1e-9, 1e4, 1e8, 1e15])
def test_dependent_features_of_any_scale_neither_fail_nor_warn(scale, recwarn):
    x, targets = layer_like(60, 40, 4, scale=scale)
    model = fit_logistic(np.column_stack([x, 2 * x, np.ones(60)]), targets)  # rank 40 of 81, D < 2 N
    assert model.converged
    assert np.isfinite(model.weights).all()
    assert not recwarn.list


def test_float64_has_the_last_word(monkeypatch):
    x, targets = layer_like(300, 40, 6, scale=1.0)
    types = []
    evaluate = logistic._Problem._evaluate

    def count(self, weights, logits, design):
        types.append(str(design.dtype))
        return evaluate(self, weights, logits, design)

    monkeypatch.setattr(logistic._Problem, "_evaluate", count)
    assert fit_logistic(x, targets).converged
    assert (
        types.count("torch.float64") == 2
    )  # it only confirms: the gradient here, and that at 0 for its scale
    assert types[-1] == "torch.float64"
    types.clear()
    assert fit_logistic(x * 1e6, targets).converged  # features out of float32's reach
    assert "torch.float32" not in types


@pytest.mark.parametrize("features", [10, 130])  # more features than samples are rotated
@pytest.mark.parametrize("classes", [2, 4])
def test_grey_pixels_give_the_classifier_of_their_three_channels(classes, features):
    rng = np.random.default_rng(3)
    targets = np.arange(60) % classes
    grey = rng.normal(size=(60, features)) + targets[:, None] * rng.normal(size=features)
    three = np.concatenate([grey, grey, grey], axis=1)  # (N, 3 D)
    once = fit_logistic(grey * np.sqrt(3), targets, gradient_norm=1e-6)
    repeated = fit_logistic(three, targets, gradient_norm=1e-6)
    assert repeated.weights == pytest.approx(np.tile(once.weights / np.sqrt(3), 3), abs=2e-5)
    assert repeated.bias == pytest.approx(once.bias, abs=2e-5)
