"""The objective of multinomial logistic regression: its products, gradient, and the search along a line.

Shapes: N samples, D features and one for the intercept, C classes, B rows of a block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unseen.probes.inputs import Float64Array, FloatArray, IntArray
from unseen.probes.row_blocks import Result, RowThreads

_BLOCK_VALUES = 2**20  # features of a block of rows, about, at most
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

    def residuals(self, probabilities: FloatArray, rows: slice = slice(None)) -> FloatArray:
        """Return probabilities (C, N) less 1 at the sample's own class, of some rows of the design, (C, B)."""
        result = probabilities[:, rows].copy()
        own = self.targets[rows]
        result[own, np.arange(len(own))] -= 1
        return result

    def gradient(self, weights: Float64Array, probabilities: FloatArray) -> Float64Array:
        """Return the derivative (C, D+1) where the classes have probabilities (C, N)."""
        total = weights * self.penalty
        for part in self.threads.map(
            lambda rows: self.residuals(probabilities, rows) @ self.design[rows],
            len(self.design),
            self._block,
        ):
            total += part
        return total

    def gradient_norm(self, gradient: Float64Array, probabilities: FloatArray) -> float:
        """Norm whose half square tells how far the objective is above its optimum.

        In W the objective is 1-strongly convex (at C = 1), so half the squared Euclidean norm is a bound. The
        intercept has no penalty, only the curvature of the loss, which vanishes as the classes separate: its
        gradient is divided by the root of that curvature, which makes the whole a close estimate.

        Args:
            gradient: (C, D+1).
            probabilities: Where it was worked out, (C, N).
        """

        def curvature(columns: slice) -> float:
            some = probabilities[:, columns]
            return float(np.clip(1 - np.square(some).sum(axis=0), 0, 1).sum(dtype=np.float64))

        total = sum(self._by_columns(curvature))
        intercept = np.square(gradient[:, -1]).sum() / np.clip(total, 1e-12, 1)
        return float(np.sqrt(np.square(gradient[:, :-1]).sum() + intercept))

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
        began = probabilities
        moved, probabilities = np.empty_like(logits), np.empty_like(logits)

        def at_start(columns: slice) -> tuple[float, float]:
            """Return the change of the own class's logit, and the mean one by probability, summed over samples."""
            along, own = ray[:, columns], self.targets[columns]
            changes = along[own, np.arange(len(own))]  # (B,)
            expected = np.einsum("cb,cb->b", began[:, columns], along)
            return float(changes.sum(dtype=np.float64)), float(expected.sum(dtype=np.float64))

        def move(columns: slice, length: float) -> tuple[float, float]:
            """Go there; return the mean change of the logits by probability, and its variance, summed over samples."""
            along, there = ray[:, columns], moved[:, columns]
            np.multiply(along, logits.dtype.type(length), out=there)
            there += logits[:, columns]
            expected = softmax(there, out=probabilities[:, columns]) * along  # (C, B)
            mean = expected.sum(axis=0, dtype=np.float64)  # (B,)
            return float(mean.sum()), float((expected * along).sum(dtype=np.float64) - np.square(mean).sum())

        def derivatives(length: float) -> tuple[float, float]:
            parts = self._by_columns(lambda columns: move(columns, length))
            return sum(part[0] for part in parts), sum(part[1] for part in parts)

        sums = self._by_columns(at_start)
        fixed = slope - sum(part[0] for part in sums)
        start = sum(part[1] for part in sums) + fixed

        tried = length = guess
        low, high = 0.0, np.inf
        for _ in range(30):
            tried = length
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
        return tried, moved, probabilities

    def _by_columns(self, task: Callable[[slice], Result]) -> list[Result]:
        """Return task(columns) for blocks of samples, which are the columns of logits."""
        return self.threads.map(task, len(self.design), max(1, _COLUMNS // self.num_classes))

    @property
    def _block(self) -> int:
        """Rows of a block: blocks of about equal size, for many rows an even number of them unless one is enough."""
        parts = -(-self.design.size // _BLOCK_VALUES)
        return -(-len(self.design) // (parts + parts % 2 if parts > 1 else 1))


def softmax(logits: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
    """Probabilities over the first axis, (C, N) -> (C, N), put into `out` where it is given."""
    result: FloatArray = np.subtract(logits, logits.max(axis=0), out=out)
    np.exp(result, out=result)
    result /= result.sum(axis=0)
    return result
