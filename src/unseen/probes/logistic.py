"""Multinomial logistic regression, solved to its unique optimum fast enough to run on every layer.

The objective is scikit-learn's: sum of cross-entropies + |W|^2 / (2 C), intercept free. It is strictly
convex, so every solver that converges finds the same classifier. Raw features of a deep layer are badly
scaled (a few directions carry most variance), which costs a plain L-BFGS hundreds of steps; here each
step is taken in the metric of the Hessian averaged over classes, M = Z^T diag(h) Z + I, which makes the
problem round and leaves the objective as it is. At W = 0 and equal weights M is the Hessian itself.

Most steps are taken in float32, which halves their cost; the last word has float64: the gradient that ends the fit is
worked out in it, and where float32 did not get there (features with huge values), float64 steps finish.

Shapes: N samples, D features and one for the intercept, C classes, B rows of a block.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import get_lapack_funcs

from unseen.probes.inputs import FloatArray, IntArray, ProbeWarning
from unseen.probes.row_blocks import RowThreads, row_threads

Float64Array: TypeAlias = npt.NDArray[np.float64]

GRADIENT_NORM = 1e-2  # leaves the summed loss within about 1e-4 nats of its optimum, see _gradient_norm
RELATIVE_GRADIENT_NORM = 1e-10  # of the first gradient: what float64 can reach when features are huge
MAX_STEPS = 1000
MEMORY = 20  # step pairs that L-BFGS remembers
METRIC_STEPS = (
    20  # M is renewed first after so many steps, or after as many as it costs; then three times as late
)
_STALLED_STEPS = 25  # float32 steps without a new low of the gradient, after which float64 takes over
_SINGLE_RANGE = 1e4  # features beyond leave float32 too few digits for the tolerance
_BLOCK_VALUES = 2**19  # features of a block of rows
_METRIC_BLOCK = 2**11  # rows of a block of M, each of which gives a (D+1, D+1) matrix
_COLUMNS = 2**17  # logits of a block of samples


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
    if centered.shape[1] > 2 * len(centered):
        # The optimal weights lie in the span of the samples: rotate into it.
        basis, triangle = np.linalg.qr(centered.T)  # (D, N), (N, N)
        centered = triangle.T  # (N, N)
    design = np.column_stack([centered, np.ones(len(centered))])  # (N, D+1), the last for the intercept
    penalty = np.full(design.shape[1], (2.0 if num_classes == 2 else 1.0) / strength)  # (D+1,)
    penalty[-1] = 0.0
    weights = np.zeros((num_classes, design.shape[1]))  # (C, D+1)
    with row_threads() as threads:
        if np.abs(design).max() <= _SINGLE_RANGE:
            quick = _Objective(design.astype(np.float32), targets, num_classes, penalty, threads)
            weights, _, _ = _minimize(quick, weights, gradient_norm / 2, patience=_STALLED_STEPS)
        weights, norm, converged = _minimize(
            _Objective(design, targets, num_classes, penalty, threads), weights, gradient_norm
        )
    if not converged:
        warnings.warn(
            f"logistic regression stopped after {MAX_STEPS} steps at gradient norm {norm:.1e}; its accuracy "
            "is approximate",
            ProbeWarning,
            stacklevel=2,
        )
    rotated = weights[:, :-1] if basis is None else weights[:, :-1] @ basis.T  # (C, D)
    bias = weights[:, -1] - weights[:, -1].mean()  # a common shift changes nothing, and nothing else fixes it
    return LogisticModel(rotated, bias, center, converged)


@dataclass(frozen=True)
class _Objective:
    """What is minimised, in float32 or float64.

    Attributes:
        design: (N, D+1), the last feature 1 for the intercept.
        targets: Class of each sample, (N,).
        num_classes: C.
        penalty: Of each column's squared weights, (D+1,).
        threads: Share out the rows.
    """

    design: FloatArray
    targets: IntArray
    num_classes: int
    penalty: Float64Array
    threads: RowThreads

    def products(self, weights: Float64Array) -> FloatArray:
        """Return weights (C, D+1) times all samples, (C, N)."""
        result = np.empty((self.num_classes, len(self.design)), dtype=self.design.dtype)
        cast = weights.astype(self.design.dtype)

        def multiply(rows: slice) -> None:
            result[:, rows] = cast @ self.design[rows].T

        self.threads.map(multiply, len(self.design), self._block)
        return result

    def gradient(self, weights: Float64Array, probabilities: FloatArray) -> Float64Array:
        """Return the derivative (C, D+1) where the classes have probabilities (C, N)."""
        residual = probabilities.copy()  # (C, N)
        residual[self.targets, np.arange(len(self.design))] -= 1
        total = weights * self.penalty
        for part in self.threads.map(
            lambda rows: residual[:, rows] @ self.design[rows], len(self.design), self._block
        ):
            total += part
        return total

    def inverse_metric(self, probabilities: FloatArray) -> Float64Array:
        """Return the inverse (D+1, D+1) of the Hessian averaged over the C - 1 ways in which class weights can move."""
        spread = (1 - np.square(probabilities).sum(axis=0)) / (len(probabilities) - 1)  # (N,)
        root = np.sqrt(np.maximum(spread, 0.0))[:, None]

        def moment(rows: slice) -> FloatArray:
            weighted = self.design[rows] * root[rows]  # (B, D+1)
            result: FloatArray = weighted.T @ weighted
            return result

        metric = np.zeros((self.design.shape[1],) * 2)
        for part in self.threads.map(moment, len(self.design), _METRIC_BLOCK):
            metric += part
        # never singular, even where features repeat; on the intercept too: M sets the pace, not the optimum
        digits = 1e-12 if self.design.dtype == np.float64 else 1e-6
        metric.flat[:: len(metric) + 1] += max(self.penalty[0], digits * metric.diagonal().max())
        inverse = _inverse(metric.astype(self.design.dtype))
        inverse = _inverse(metric) if inverse is None else inverse
        return np.diag(1 / metric.diagonal()) if inverse is None else inverse

    def search_line(
        self,
        logits: FloatArray,
        probabilities: FloatArray,
        ray: FloatArray,
        *,
        slope: float,
        curvature: float,
    ) -> tuple[float, FloatArray, FloatArray]:
        """Return the step length along a descent direction, and logits and probabilities (C, N) there.

        Newton's method, kept inside a bracket, on the derivative along the ray; as the logits are linear in
        the step no product with the features is needed. Done once the slope has fallen to 0.3 of its start.

        Args:
            logits: At the start, (C, N).
            probabilities: At the start, (C, N).
            ray: Change of the logits per unit of step, (C, N).
            slope: Derivative of the penalty at the start.
            curvature: Second derivative of the penalty.
        """
        fixed = slope - float(np.take_along_axis(ray, self.targets[None], axis=0).sum(dtype=np.float64))
        start = float(np.vdot(probabilities, ray)) + fixed
        moved, probabilities = np.empty_like(logits), np.empty_like(logits)

        def move(columns: slice, length: float) -> tuple[float, float]:
            """Go there; return the expected change of the own logit, and its variance, summed over samples."""
            along = ray[:, columns]
            moved[:, columns] = logits[:, columns] + logits.dtype.type(length) * along
            probabilities[:, columns] = _softmax(moved[:, columns])
            expected = probabilities[:, columns] * along  # (C, B)
            mean = expected.sum(axis=0, dtype=np.float64)  # (B,)
            return float(mean.sum()), float((expected * along).sum(dtype=np.float64) - np.square(mean).sum())

        def derivatives(length: float) -> tuple[float, float]:
            parts = self.threads.map(
                lambda columns: move(columns, length), logits.shape[1], max(1, _COLUMNS // len(logits))
            )
            return sum(part[0] for part in parts), sum(part[1] for part in parts)

        length, low, high = 1.0, 0.0, np.inf
        for _ in range(30):
            first, second = derivatives(length)
            derivative = first + fixed + length * curvature
            if abs(derivative) <= 0.3 * abs(start):
                break
            if derivative < 0:
                low = length
            else:
                high = length
            length = length - derivative / max(second + curvature, 1e-300)
            if not low < length < min(high, 10 * max(low, 1.0)):
                length = (low + high) / 2 if np.isfinite(high) else 4 * low
        return length, moved, probabilities

    @property
    def steps_per_metric(self) -> int:
        """How many steps cost as much as M and its inverse."""
        num_samples, num_features = self.design.shape
        return int((num_samples + num_features) * num_features // (4 * num_samples * self.num_classes))

    @property
    def _block(self) -> int:
        """Rows of a block: blocks of about equal size, an even number of them unless one is enough."""
        parts = round(self.design.size / _BLOCK_VALUES)
        return -(-len(self.design) // max(1, parts + parts % 2))


def _minimize(
    objective: _Objective, weights: Float64Array, gradient_norm: float, *, patience: int = MAX_STEPS
) -> tuple[Float64Array, float, bool]:
    """L-BFGS whose initial metric is M; returns weights (C, D+1), the gradient's norm and whether it is done.

    Args:
        objective: What to minimise.
        weights: Where to begin, (C, D+1).
        gradient_norm: Where to stop.
        patience: Stop, too, after this many steps without a new lowest gradient.
    """
    logits = objective.products(weights)  # (C, N)
    probabilities = _softmax(logits)
    gradient = objective.gradient(weights, probabilities)
    norm = _gradient_norm(gradient, probabilities)
    even = np.full_like(probabilities, 1 / len(probabilities))
    origin = _gradient_norm(objective.gradient(np.zeros_like(weights), even), even)
    goal = max(gradient_norm, RELATIVE_GRADIENT_NORM * origin)
    lowest, lowest_weights, lowest_step = norm, weights, 0
    inverse_metric: Float64Array | None = None
    renewal = max(METRIC_STEPS, objective.steps_per_metric)
    pairs: list[tuple[Float64Array, Float64Array]] = []  # (step, change of gradient), newest last
    for step in range(MAX_STEPS):
        if norm <= goal or step - lowest_step > patience:
            break
        if inverse_metric is None or step == renewal:
            renewal *= 3 if step else 1
            inverse_metric = objective.inverse_metric(probabilities)
            pairs.clear()
        direction = -_apply_inverse_hessian(gradient, pairs, inverse_metric)  # (C, D+1)
        length, logits, probabilities = objective.search_line(
            logits,
            probabilities,
            objective.products(direction),
            slope=float(np.vdot(weights * objective.penalty, direction)),
            curvature=float(np.vdot(direction * objective.penalty, direction)),
        )
        move = length * direction
        weights = weights + move
        previous = gradient
        gradient = objective.gradient(weights, probabilities)
        norm = _gradient_norm(gradient, probabilities)
        if norm < lowest:
            lowest, lowest_weights, lowest_step = norm, weights, step + 1
        change = gradient - previous
        if np.vdot(move, change) > 0:  # always so for a strictly convex function, rounding aside
            pairs = [*pairs[-(MEMORY - 1) :], (move, change)]
    return lowest_weights, lowest, lowest <= goal


def _gradient_norm(gradient: Float64Array, probabilities: FloatArray) -> float:
    """Norm whose half square tells how far the objective is above its optimum.

    In W the objective is 1-strongly convex (at C = 1), so half the squared Euclidean norm is a bound. The
    intercept has no penalty, only the curvature of the loss, which vanishes as the classes separate: its
    gradient is divided by the root of that curvature, which makes the whole a close estimate.
    """
    curvature = np.clip(1 - np.square(probabilities).sum(axis=0), 0, 1).sum(dtype=np.float64)
    intercept = np.square(gradient[:, -1]).sum() / np.clip(curvature, 1e-12, 1)
    return float(np.sqrt(np.square(gradient[:, :-1]).sum() + intercept))


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


def _inverse(matrix: FloatArray) -> Float64Array | None:
    """Return the inverse of a positive definite matrix (n, n); None if rounding has made it anything else.

    LAPACK itself, because numpy's general inverse takes twice as long and torch's depends on its number of threads.
    """
    factorise, invert = get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, failed = factorise(matrix, lower=True)
    if failed:
        return None
    lower: Float64Array = np.tril(invert(factor, lower=True)[0]).astype(np.float64)
    lower += np.tril(lower, -1).T
    return lower


def _softmax(logits: FloatArray) -> FloatArray:
    """Probabilities over the first axis, (C, N) -> (C, N)."""
    exponentials = np.exp(logits - logits.max(axis=0))
    result: FloatArray = exponentials / exponentials.sum(axis=0)
    return result
