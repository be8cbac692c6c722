"""Multinomial logistic regression, solved to its unique optimum fast enough to run on every layer.

The objective is scikit-learn's: sum of cross-entropies + |W|^2 / (2 C), intercept free. It is strictly
convex, so every solver that converges finds the same classifier. Raw features of a deep layer are badly
scaled (a few directions carry most variance), which costs a plain L-BFGS hundreds of steps; here each step
is taken in a metric close to the Hessian (`logistic_metric.py`), which makes the problem round and leaves
the objective as it is.

Most steps are taken in float32, which halves their cost; the last word has float64: the gradient that ends the fit is
worked out in it, and where float32 did not get there (features with huge values), float64 steps finish.

Shapes: N samples, D features and one for the intercept, C classes, B rows of a block.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from unseen.probes.inputs import Float64Array, FloatArray, IntArray, ProbeWarning
from unseen.probes.logistic_metric import Metric, hessian_metric, steps_per_metric
from unseen.probes.logistic_objective import Objective, softmax
from unseen.probes.repeats import repeated_features
from unseen.probes.row_blocks import row_threads

# leaves the summed loss within about 1e-4 nats of its optimum, see Objective.gradient_norm
GRADIENT_NORM = 1e-2
RELATIVE_GRADIENT_NORM = 1e-10  # of the first gradient: what float64 can reach when features are huge
MAX_STEPS = 1000
MEMORY = 20  # step pairs that L-BFGS remembers
# the metric is renewed first after so many steps, or after as many as it costs; then three times as late
METRIC_STEPS = 20
_STALLED_STEPS = 25  # float32 steps without a new low of the gradient, after which float64 takes over
_TEST_ROWS = 512  # of a block
_SINGLE_RANGE = 1e4  # features beyond leave float32 too few digits for the tolerance


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
        result = np.empty((len(features), len(self.bias)))

        def fill(rows: slice) -> None:
            result[rows] = (features[rows] - self.center) @ self.weights.T + self.bias

        with row_threads() as threads:
            threads.map(fill, len(features), _TEST_ROWS)
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
    repeats = repeated_features(centered)
    if repeats.found:
        centered = repeats.merged(centered)  # from here on D counts what is left
    basis = None
    if centered.shape[1] > 2 * len(centered):
        # The optimal weights lie in the span of the samples: rotate into it.
        basis, triangle = np.linalg.qr(centered.T)  # (D, N), (N, N)
        centered = triangle.T  # (N, N)
    design = np.column_stack([centered, np.ones(len(centered))])  # (N, D+1), the last for the intercept
    penalty = np.full(design.shape[1], (2.0 if num_classes == 2 else 1.0) / strength)  # (D+1,)
    penalty[-1] = 0.0
    weights = np.zeros((num_classes, design.shape[1]))  # (C, D+1)
    with row_threads() as threads:
        objective = Objective(design, targets, num_classes, penalty, threads)
        even = np.full((num_classes, len(design)), 1 / num_classes)  # where the weights are 0
        first = objective.gradient_norm(objective.gradient(weights, even), even)
        goal = max(gradient_norm, RELATIVE_GRADIENT_NORM * first)
        del even
        if np.abs(design).max() <= _SINGLE_RANGE:
            quick = Objective(design.astype(np.float32), targets, num_classes, penalty, threads)
            weights, _ = _minimize(quick, weights, goal / 2, patience=_STALLED_STEPS)
            del quick
        weights, norm = _minimize(objective, weights, goal)
        converged = norm <= goal
    if not converged:
        warnings.warn(
            f"logistic regression stopped after {MAX_STEPS} steps at gradient norm {norm:.1e}; its accuracy "
            "is approximate",
            ProbeWarning,
            stacklevel=2,
        )
    slopes = weights[:, :-1] if basis is None else weights[:, :-1] @ basis.T  # (C, D)
    slopes = repeats.spread(slopes) if repeats.found else slopes
    bias = weights[:, -1] - weights[:, -1].mean()  # a common shift changes nothing, and nothing else fixes it
    return LogisticModel(slopes, bias, center, converged)


def _minimize(
    objective: Objective, weights: Float64Array, goal: float, *, patience: int = MAX_STEPS
) -> tuple[Float64Array, float]:
    """L-BFGS that starts each direction from the metric; returns weights (C, D+1) and the norm of the gradient there.

    Args:
        objective: What to minimise.
        weights: Where to begin, (C, D+1).
        goal: Norm of the gradient to stop at.
        patience: Stop, too, after this many steps without a new lowest gradient.
    """
    logits = objective.products(weights)  # (C, N)
    probabilities = softmax(logits)
    gradient = objective.gradient(weights, probabilities)
    norm = objective.gradient_norm(gradient, probabilities)
    lowest, lowest_weights, lowest_step = norm, weights, 0
    metric: Metric | None = None
    length = 1.0
    renewal = max(METRIC_STEPS, steps_per_metric(objective))
    pairs: list[_StepPair] = []  # newest last
    for step in range(MAX_STEPS):
        if norm <= goal or step - lowest_step > patience:
            break
        if metric is None or step == renewal:
            renewal *= 3 if step else 1
            metric = hessian_metric(objective, probabilities, single_out=bool(weights.any()))
            pairs.clear()
            length = 1.0
        direction = -_apply_inverse_hessian(gradient, pairs, metric)  # (C, D+1)
        length, logits, probabilities = objective.search_line(
            logits,
            probabilities,
            objective.products(direction),
            slope=float(np.vdot(weights * objective.penalty, direction)),
            curvature=float(np.vdot(direction * objective.penalty, direction)),
            guess=length,  # the last one: as long as the metric stays, it is off by a factor that changes slowly
        )
        move = length * direction
        weights = weights + move
        previous = gradient
        gradient = objective.gradient(weights, probabilities)
        norm = objective.gradient_norm(gradient, probabilities)
        if norm < lowest:
            lowest, lowest_weights, lowest_step = norm, weights, step + 1
        change = gradient - previous
        product = float(np.vdot(move, change))
        if product > 0:  # always so for a strictly convex function, rounding aside
            digits = objective.design.dtype
            pairs = [*pairs[-(MEMORY - 1) :], _StepPair(move.astype(digits), change.astype(digits), product)]
    return lowest_weights, lowest


@dataclass(frozen=True)
class _StepPair:
    """What L-BFGS remembers of a step, in the number format of the design, like the metric.

    Attributes:
        move: Of the weights, (C, D+1).
        change: Of the gradient, (C, D+1).
        product: Their inner product, before they were rounded.
    """

    move: FloatArray
    change: FloatArray
    product: float


def _apply_inverse_hessian(gradient: Float64Array, pairs: list[_StepPair], metric: Metric) -> Float64Array:
    """The two-loop recursion of L-BFGS (Nocedal & Wright, algorithm 7.4) from the metric, (C, D+1)."""
    result: FloatArray = gradient.astype(metric.inverse.dtype)
    factors = []
    for pair in reversed(pairs):
        factor = float(np.vdot(pair.move, result)) / pair.product
        factors.append(factor)
        result -= factor * pair.change
    result = metric.solve(result)
    for pair, factor in zip(pairs, reversed(factors), strict=True):
        result += (factor - float(np.vdot(pair.change, result)) / pair.product) * pair.move
    return result.astype(np.float64)
