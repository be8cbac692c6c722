"""Multinomial logistic regression, solved to its unique optimum fast enough to run on every layer.

The objective is scikit-learn's: sum of cross-entropies + |W|^2 / (2 C), intercept free. It is strictly
convex, so every solver that converges finds the same classifier. Raw features of a deep layer are badly
scaled (a few directions carry most variance), which costs a plain L-BFGS hundreds of steps; here each
step is taken in the metric of the Hessian averaged over classes, M = Z^T diag(h) Z + I, which makes the
problem round and leaves the objective as it is. At W = 0 and equal weights M is the Hessian itself.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from unseen.probes.inputs import FloatArray, IntArray, ProbeWarning

Float64Array: TypeAlias = npt.NDArray[np.float64]

GRADIENT_NORM = 1e-2  # leaves the summed loss within about 1e-4 nats of its optimum, see _gradient_norm
RELATIVE_GRADIENT_NORM = 1e-10  # of the first gradient: what float64 can reach when features are huge
MAX_STEPS = 1000
MEMORY = 10  # step pairs that L-BFGS remembers
SMALL_PRODUCT = 5e7  # N D C below which BLAS threads gain little, and on a busy machine lose tenfold
METRIC_STEPS = (20, 60, 180)  # where M is renewed: it costs as much as some 20 steps


@dataclass(frozen=True)
class LogisticModel:
    """A fitted classifier.

    Attributes:
        weights: (C, D).
        bias: (C,), of the features less `center`.
        center: Mean of the training features, (D,).
        converged: Whether the gradient got below the tolerance.
    """

    weights: Float64Array
    bias: Float64Array
    center: Float64Array
    converged: bool

    def logits(self, features: FloatArray) -> Float64Array:
        """Return the logits (N, C) of features (N, D)."""
        result: Float64Array = (features - self.center) @ self.weights.T + self.bias
        return result


def fit_logistic(
    features: FloatArray, targets: IntArray, *, strength: float = 1.0, gradient_norm: float = GRADIENT_NORM
) -> LogisticModel:
    """Return the L2-regularised multinomial logistic regression of targets on features.

    Equal to `sklearn.linear_model.LogisticRegression(C=strength)` run to convergence, for two classes
    too, where that fits a single weight vector w = w_1 - w_0 and penalises |w|^2: twice what the two
    opposite vectors of the softmax form would pay.

    Args:
        features: (N, D), finite.
        targets: Class indices (N,); 0..C-1 all occur, C >= 2.
        strength: scikit-learn's C, the inverse of the penalty.
        gradient_norm: Norm of the objective's gradient at which the fit is done.

    Returns:
        The classifier; a warning says so if it did not converge.
    """
    num_classes = int(targets.max()) + 1
    center = features.mean(axis=0, dtype=np.float64)  # (D,); the free intercept makes the shift exact
    centered = features - center  # (N, D) float64
    basis = None
    small = centered.size * num_classes <= SMALL_PRODUCT
    with threadpool_limits(limits=1 if small else None):
        if centered.shape[1] > 2 * len(centered):
            # The optimal weights lie in the span of the samples: rotate into it.
            basis, triangle = np.linalg.qr(centered.T)  # (D, N), (N, N)
            centered = triangle.T  # (N, N)
        design = np.column_stack([centered, np.ones(len(centered))])  # (N, D+1), the last for the intercept
        penalty = np.full(design.shape[1], (2.0 if num_classes == 2 else 1.0) / strength)  # (D+1,)
        penalty[-1] = 0.0
        onehot = np.eye(num_classes)[targets].T.copy()  # (C, N)
        weights, norm, converged = _minimize(design, onehot, penalty, gradient_norm)
    if not converged:
        warnings.warn(
            f"logistic regression stopped after {MAX_STEPS} steps at gradient norm {norm:.1e}; its accuracy "
            "is approximate",
            ProbeWarning,
            stacklevel=2,
        )
    rotated = weights[:, :-1] if basis is None else weights[:, :-1] @ basis.T  # (C, D)
    return LogisticModel(rotated, weights[:, -1], center, converged)


def _minimize(
    design: Float64Array, onehot: Float64Array, penalty: Float64Array, gradient_norm: float
) -> tuple[Float64Array, float, bool]:
    """L-BFGS whose initial metric is M; returns weights (C, D+1), the gradient's norm and whether it is done.

    Args:
        design: (N, D+1).
        onehot: Targets, (C, N).
        penalty: Of each column's squared weights, (D+1,).
        gradient_norm: Where to stop.
    """
    weights = np.zeros((len(onehot), design.shape[1]))  # (C, D+1)
    logits = np.zeros_like(onehot)  # (C, N)
    probabilities = np.full_like(onehot, 1 / len(onehot))  # (C, N)
    gradient = (probabilities - onehot) @ design  # (C, D+1)
    norm = _gradient_norm(gradient, probabilities)
    goal = max(gradient_norm, RELATIVE_GRADIENT_NORM * norm)
    inverse_metric = _inverse_metric(design, probabilities, penalty)
    pairs: list[tuple[Float64Array, Float64Array]] = []  # (step, change of gradient), newest last
    for step in range(MAX_STEPS):
        if norm <= goal:
            return weights, norm, True
        if step in METRIC_STEPS:
            inverse_metric = _inverse_metric(design, probabilities, penalty)
            pairs.clear()
        direction = -_apply_inverse_hessian(gradient, pairs, inverse_metric)  # (C, D+1)
        length, logits, probabilities = _search_line(
            logits,
            direction @ design.T,
            onehot,
            slope=float(np.vdot(weights * penalty, direction)),
            curvature=float(np.vdot(direction * penalty, direction)),
        )
        move = length * direction
        weights = weights + move
        previous = gradient
        gradient = (probabilities - onehot) @ design + weights * penalty
        norm = _gradient_norm(gradient, probabilities)
        change = gradient - previous
        if np.vdot(move, change) > 0:  # always so for a strictly convex function, rounding aside
            pairs = [*pairs[-(MEMORY - 1) :], (move, change)]
    return weights, norm, norm <= goal


def _gradient_norm(gradient: Float64Array, probabilities: Float64Array) -> float:
    """Norm whose half square tells how far the objective is above its optimum.

    In W the objective is 1-strongly convex (at C = 1), so half the squared Euclidean norm is a bound. The
    intercept has no penalty, only the curvature of the loss, which vanishes as the classes separate: its
    gradient is divided by the root of that curvature, which makes the whole a close estimate.
    """
    curvature = np.clip(1 - np.square(probabilities).sum(axis=0), 0, 1).sum()
    intercept = np.square(gradient[:, -1]).sum() / np.clip(curvature, 1e-12, 1)
    return float(np.sqrt(np.square(gradient[:, :-1]).sum() + intercept))


def _inverse_metric(design: Float64Array, probabilities: Float64Array, penalty: Float64Array) -> Float64Array:
    """Inverse (D+1, D+1) of the Hessian averaged over the C - 1 directions in which class weights can move."""
    spread = (1 - np.square(probabilities).sum(axis=0)) / (len(probabilities) - 1)  # (N,)
    weighted = design * np.sqrt(np.maximum(spread, 0.0))[:, None]  # (N, D+1)
    metric = weighted.T @ weighted
    ridge = max(penalty[0], 1e-12 * metric.diagonal().max())  # never singular, even where features repeat
    metric.flat[:: len(metric) + 1] += ridge  # on the intercept too: M sets the pace, not the optimum
    factor = torch.linalg.cholesky(torch.from_numpy(metric))  # numpy's general inverse takes twice as long
    inverse: Float64Array = torch.cholesky_inverse(factor).numpy()
    return inverse


def _apply_inverse_hessian(
    gradient: Float64Array, pairs: list[tuple[Float64Array, Float64Array]], inverse_metric: Float64Array
) -> Float64Array:
    """The two-loop recursion of L-BFGS (Nocedal & Wright, algorithm 7.4) from the metric M, (C, D+1)."""
    result = gradient.copy()
    factors = []
    for move, change in reversed(pairs):
        factor = np.vdot(move, result) / np.vdot(move, change)
        factors.append(factor)
        result -= factor * change
    result = result @ inverse_metric
    for (move, change), factor in zip(pairs, reversed(factors), strict=True):
        result += (factor - np.vdot(change, result) / np.vdot(move, change)) * move
    return result


def _search_line(
    logits: Float64Array, ray: Float64Array, onehot: Float64Array, *, slope: float, curvature: float
) -> tuple[float, Float64Array, Float64Array]:
    """Return the step length along a descent direction, and logits and probabilities (C, N) there.

    Newton's method, kept inside a bracket, on the derivative along the ray; as the logits are linear in
    the step no product with the features is needed. Done once the slope has fallen to 0.3 of its start.

    Args:
        logits: At the start, (C, N).
        ray: Change of the logits per unit of step, (C, N).
        onehot: Targets, (C, N).
        slope: Derivative of the penalty at the start.
        curvature: Second derivative of the penalty.
    """
    fixed = slope - float(np.vdot(onehot, ray))
    start = float(np.vdot(_softmax(logits), ray)) + fixed
    length, low, high = 1.0, 0.0, np.inf
    for _ in range(30):
        moved = logits + length * ray
        probabilities = _softmax(moved)
        expected = probabilities * ray  # (C, N)
        derivative = float(expected.sum()) + fixed + length * curvature
        if abs(derivative) <= 0.3 * abs(start):
            break
        if derivative < 0:
            low = length
        else:
            high = length
        second = float(np.vdot(expected, ray) - np.square(expected.sum(axis=0)).sum()) + curvature
        length = length - derivative / second
        if not low < length < min(high, 10 * max(low, 1.0)):
            length = (low + high) / 2 if np.isfinite(high) else 4 * low
    return length, moved, probabilities


def _softmax(logits: Float64Array) -> Float64Array:
    """Probabilities over the first axis, (C, N) -> (C, N)."""
    exponentials = np.exp(logits - logits.max(axis=0))
    result: Float64Array = exponentials / exponentials.sum(axis=0)
    return result
