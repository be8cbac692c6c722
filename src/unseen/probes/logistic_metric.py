"""The metric in which logistic regression takes its steps: the Hessian, as closely as its inverse stays cheap.

With p_n a sample's probabilities, e_y its own class and z_n its features, the Hessian is

    H = penalty + sum_n S_n (x) z_n z_n^T,   S_n = diag(p_n) - p_n p_n^T.

Averaged over the classes it is M = penalty + sum_n trace(S_n) / (C - 1) z_n z_n^T, the same for each class: exact at
equal probabilities, where the fit begins (for weights that sum to 0 over the classes, as all of its do). Later few
samples, those between two classes, carry most of the curvature, and each of them along one direction of the classes
only, which an average spreads over all. The most curved eighth of them, at most 2,048, is therefore singled out: S_n
is m_n s_n s_n^T for them, with s_n along p_n - e_y (exact for two classes) and m_n = s_n^T S_n s_n; what is left of
all S_n is averaged. With U the columns sqrt(m_n) s_n (x) z_n, the inverse is

    (M + U U^T)^-1 = M^-1 - M^-1 U (I + U^T M^-1 U)^-1 U^T M^-1     (Sherman, Morrison and Woodbury).

Shapes: N samples, D features and one for the intercept, C classes, A samples singled out, B rows of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import get_lapack_funcs

from unseen.probes.inputs import FloatArray, IntArray
from unseen.probes.logistic_objective import Objective
from unseen.probes.row_blocks import RowThreads

SHARE = 8  # one sample in so many is singled out
MOST = 2048  # and no more, because each costs a row of an A x A matrix

_MOMENT_ROWS = 2**11  # rows of a block of M, each of which gives a (D+1, D+1) matrix
_COLUMNS = 2**8  # of M's inverse, in a block
_ROWS = 2**8  # of the singled out, in a block


@dataclass(frozen=True)
class Metric:
    """A positive definite matrix close to the Hessian, ready to solve for weights.

    It sets the pace, not the optimum, so it is in the number format of the design.

    Attributes:
        inverse: M^-1, (D+1, D+1).
        singled_out: What is added to M; None: nothing.
        threads: Share out the products.
    """

    inverse: FloatArray
    singled_out: SingledOut | None
    threads: RowThreads

    def solve(self, weights: FloatArray) -> FloatArray:
        """Return the inverse of the metric times weights (C, D+1), in their own number format."""
        plain = self._times_inverse(weights)
        if self.singled_out is None:
            return plain
        return plain - self._times_inverse(self.singled_out.share_of(plain, self.threads))

    def _times_inverse(self, weights: FloatArray) -> FloatArray:
        result = np.empty_like(weights)
        cast = weights.astype(self.inverse.dtype, copy=False)

        def multiply(columns: slice) -> None:
            result[:, columns] = cast @ self.inverse[:, columns]

        self.threads.map(multiply, len(self.inverse), _COLUMNS)
        return result


@dataclass(frozen=True)
class SingledOut:
    """The samples singled out.

    Attributes:
        features: Their z, (A, D+1).
        directions: Their sqrt(m) s, (C, A).
        factor: Cholesky factor of I + U^T M^-1 U, upper, (A, A).
    """

    features: FloatArray
    directions: FloatArray
    factor: FloatArray

    def share_of(self, weights: FloatArray, threads: RowThreads) -> FloatArray:
        """Return U (I + U^T M^-1 U)^-1 U^T weights, (C, D+1)."""
        cast = weights.astype(self.features.dtype, copy=False)
        along = np.empty(len(self.features), dtype=self.features.dtype)  # U^T weights

        def project(rows: slice) -> None:
            along[rows] = np.einsum("ca,ca->a", cast @ self.features[rows].T, self.directions[:, rows])

        threads.map(project, len(along), _ROWS)
        (solve,) = get_lapack_funcs(("potrs",), (self.factor,))
        along = solve(self.factor, along, lower=False)[0]
        total = np.zeros_like(weights)
        for part in threads.map(
            lambda rows: (self.directions[:, rows] * along[rows]) @ self.features[rows], len(along), _ROWS
        ):
            total += part
        return total


def hessian_metric(objective: Objective, probabilities: FloatArray, *, single_out: bool) -> Metric:
    """Return the metric where the classes have probabilities (C, N).

    Args:
        objective: What is minimised.
        probabilities: Of the classes, (C, N).
        single_out: Whether to single out the most curved samples; where all are alike that gains nothing.
    """
    traces = np.maximum(1 - np.square(probabilities).sum(axis=0), 0)  # (N,)
    count = min(MOST, len(traces) // SHARE)
    if single_out and count:
        directions = _residual_directions(objective, probabilities)  # (C, N)
        spread = probabilities * directions
        curvatures = np.einsum("cn,cn->n", directions, spread) - np.square(spread.sum(axis=0))  # m, (N,)
        chosen = np.argsort(-curvatures, kind="stable")[:count]
        inverse = _inverse_average(objective, _without(traces, curvatures, chosen))
        scaled = directions[:, chosen] * np.sqrt(np.maximum(curvatures[chosen], 0))
        singled_out = _single_out(objective.design[chosen], scaled, inverse, objective.threads)
        if singled_out is not None:
            return Metric(inverse, singled_out, objective.threads)
    return Metric(_inverse_average(objective, traces), None, objective.threads)


def steps_per_metric(objective: Objective) -> int:
    """How many steps cost as much as M and its inverse."""
    num_samples, num_features = objective.design.shape
    return int((num_samples + num_features) * num_features // (4 * num_samples * objective.num_classes))


def _residual_directions(objective: Objective, probabilities: FloatArray) -> FloatArray:
    """Return (p - e_y) / |p - e_y| of each sample, (C, N); 0 where p is e_y."""
    residuals = objective.residuals(probabilities)
    lengths = np.sqrt(np.square(residuals).sum(axis=0))
    # of what is shorter the square, and so the length, is lost
    shortest = np.sqrt(np.finfo(residuals.dtype).tiny)
    residuals /= np.maximum(lengths, shortest)
    return residuals


def _without(traces: FloatArray, curvatures: FloatArray, chosen: IntArray) -> FloatArray:
    """Return what is left of the traces (N,) of S when the chosen samples' m is taken out."""
    left = traces.copy()
    left[chosen] = np.maximum(left[chosen] - curvatures[chosen], 0)
    return left


def _inverse_average(objective: Objective, traces: FloatArray) -> FloatArray:
    """Return M^-1, (D+1, D+1), for the traces (N,) of the samples' S.

    C - 1 is in how many ways the class weights can move.
    """
    design = objective.design
    root = np.sqrt(traces / (objective.num_classes - 1))[:, None]

    def moment(rows: slice) -> FloatArray:
        weighted = design[rows] * root[rows]  # (B, D+1)
        result: FloatArray = weighted.T @ weighted
        return result

    average = np.zeros((design.shape[1],) * 2)
    for part in objective.threads.map(moment, len(design), _MOMENT_ROWS):
        average += part
    # never singular, even where features repeat; on the intercept, too
    least = _digits(design) * average.diagonal().max()
    average.flat[:: len(average) + 1] += max(objective.penalty[0], least)
    inverse = _inverse(average.astype(design.dtype))
    inverse = _inverse(average) if inverse is None else inverse
    inverse = np.diag(1 / average.diagonal()) if inverse is None else inverse
    return inverse.astype(design.dtype, copy=False)


def _single_out(
    features: FloatArray, directions: FloatArray, inverse: FloatArray, threads: RowThreads
) -> SingledOut | None:
    """Single out samples with features (A, D+1) and directions (C, A); None if rounding forbids it."""
    count = len(features)
    gram = np.empty((count, count), dtype=features.dtype)  # of its lower triangle only

    def multiply(rows: slice) -> None:
        before = slice(0, rows.stop)
        gram[rows, before] = (features[rows] @ inverse) @ features[before].T
        gram[rows, before] *= directions[:, rows].T @ directions[:, before]

    threads.map(multiply, count, _ROWS)
    # 1 by definition; a larger number c takes U U^T / c for U U^T where rounding would eat the 1
    gram.flat[:: count + 1] += max(1.0, _digits(features) * gram.diagonal().max())
    (factorise,) = get_lapack_funcs(("potrf",), (gram,))
    factor, failed = factorise(gram.T, lower=False, overwrite_a=True)  # LAPACK's columns are our rows
    return None if failed else SingledOut(features, directions, factor)


def _digits(values: FloatArray) -> float:
    """Return what is kept of the largest diagonal element of a matrix, relative, so that it stays positive definite."""
    return 1e-12 if values.dtype == np.float64 else 1e-6


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
