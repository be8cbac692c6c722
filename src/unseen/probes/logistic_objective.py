"""The objective of multinomial logistic regression: its products, gradient, and the search along a line.

Shapes: N samples, D features and one for the intercept, C classes, B rows of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unseen.probes.inputs import Float64Array, FloatArray, IntArray
from unseen.probes.row_blocks import RowThreads

_BLOCK_VALUES = 2**20  # features of a block of rows
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

    def residuals(self, probabilities: FloatArray) -> FloatArray:
        """Return probabilities (C, N) less 1 at the sample's own class."""
        result = probabilities.copy()
        result[self.targets, np.arange(len(self.design))] -= 1
        return result

    def gradient(self, weights: Float64Array, probabilities: FloatArray) -> Float64Array:
        """Return the derivative (C, D+1) where the classes have probabilities (C, N)."""
        residuals = self.residuals(probabilities)
        total = weights * self.penalty
        for part in self.threads.map(
            lambda rows: residuals[:, rows] @ self.design[rows], len(self.design), self._block
        ):
            total += part
        return total

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

    @property
    def _block(self) -> int:
        """Rows of a block: blocks of about equal size, an even number of them unless one is enough."""
        parts = round(self.design.size / _BLOCK_VALUES)
        return -(-len(self.design) // max(1, parts + parts % 2))


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities over the first axis, (C, N) -> (C, N)."""
    exponentials = np.exp(logits - logits.max(axis=0))
    result: FloatArray = exponentials / exponentials.sum(axis=0)
    return result
