"""The objective of multinomial logistic regression: its products, gradient, metric, and the search along a line.

Shapes: N samples, D features and one for the intercept, C classes, B rows of a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import get_lapack_funcs

from unseen.probes.inputs import FloatArray, IntArray
from unseen.probes.row_blocks import RowThreads

Float64Array: TypeAlias = npt.NDArray[np.float64]

_BLOCK_VALUES = 2**19  # features of a block of rows
_METRIC_BLOCK = 2**11  # rows of a block of M, each of which gives a (D+1, D+1) matrix
_METRIC_COLUMNS = 2**8  # of M's inverse, in a block
_COLUMNS = 2**17  # logits of a block of samples


@dataclass(frozen=True)
class Objective:
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

    def inverse_metric(self, probabilities: FloatArray) -> FloatArray:
        """Return the inverse (D+1, D+1) of the Hessian averaged over the C - 1 ways in which class weights can move.

        In the number format of the design: it sets the pace, not the optimum.
        """
        spread = (1 - np.square(probabilities).sum(axis=0)) / (len(probabilities) - 1)  # (N,)
        root = np.sqrt(np.maximum(spread, 0.0))[:, None]

        def moment(rows: slice) -> FloatArray:
            weighted = self.design[rows] * root[rows]  # (B, D+1)
            result: FloatArray = weighted.T @ weighted
            return result

        metric = np.zeros((self.design.shape[1],) * 2)
        for part in self.threads.map(moment, len(self.design), _METRIC_BLOCK):
            metric += part
        # never singular, even where features repeat; on the intercept, too
        digits = 1e-12 if self.design.dtype == np.float64 else 1e-6
        metric.flat[:: len(metric) + 1] += max(self.penalty[0], digits * metric.diagonal().max())
        inverse = _inverse(metric.astype(self.design.dtype))
        inverse = _inverse(metric) if inverse is None else inverse
        inverse = np.diag(1 / metric.diagonal()) if inverse is None else inverse
        return inverse.astype(self.design.dtype, copy=False)

    def times_metric(self, weights: Float64Array, inverse_metric: FloatArray) -> Float64Array:
        """Return weights (C, D+1) times an inverse metric (D+1, D+1)."""
        result = np.empty_like(weights)
        cast = weights.astype(inverse_metric.dtype)

        def multiply(columns: slice) -> None:
            result[:, columns] = cast @ inverse_metric[:, columns]

        self.threads.map(multiply, len(inverse_metric), _METRIC_COLUMNS)
        return result

    def search_line(
        self,
        logits: FloatArray,
        probabilities: FloatArray,
        ray: FloatArray,
        *,
        slope: float,
        curvature: float,
        guess: float,
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
            guess: Length to try first.
        """
        fixed = slope - float(np.take_along_axis(ray, self.targets[None], axis=0).sum(dtype=np.float64))
        start = float(np.vdot(probabilities, ray)) + fixed
        moved, probabilities = np.empty_like(logits), np.empty_like(logits)

        def move(columns: slice, length: float) -> tuple[float, float]:
            """Go there; return the expected change of the own logit, and its variance, summed over samples."""
            along = ray[:, columns]
            moved[:, columns] = logits[:, columns] + logits.dtype.type(length) * along
            probabilities[:, columns] = softmax(moved[:, columns])
            expected = probabilities[:, columns] * along  # (C, B)
            mean = expected.sum(axis=0, dtype=np.float64)  # (B,)
            return float(mean.sum()), float((expected * along).sum(dtype=np.float64) - np.square(mean).sum())

        def derivatives(length: float) -> tuple[float, float]:
            parts = self.threads.map(
                lambda columns: move(columns, length), logits.shape[1], max(1, _COLUMNS // len(logits))
            )
            return sum(part[0] for part in parts), sum(part[1] for part in parts)

        length, low, high = guess, 0.0, np.inf
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
            if np.isfinite(high):
                length = length if low < length < high else (low + high) / 2
            elif not low < length < 10 * max(low, 1.0):
                length = 4 * max(low, 1.0)
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


def _inverse(matrix: FloatArray) -> FloatArray | None:
    """Return the inverse of a positive definite matrix (n, n); None if rounding has made it anything else.

    LAPACK itself, because numpy's general inverse takes twice as long and torch's depends on its number of threads.
    """
    factorise, invert = get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, failed = factorise(matrix, lower=True)
    if failed:
        return None
    lower: FloatArray = np.tril(invert(factor, lower=True)[0])
    lower += np.tril(lower, -1).T
    return lower


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities over the first axis, (C, N) -> (C, N)."""
    exponentials = np.exp(logits - logits.max(axis=0))
    result: FloatArray = exponentials / exponentials.sum(axis=0)
    return result
