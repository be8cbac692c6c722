"""Multinomial logistic regression, solved to its unique optimum on the device of the features.

The objective is scikit-learn's: sum of cross-entropies + |W|^2 / (2 C), intercept free. It is strictly convex, so every
solver that converges finds the same classifier. torch's L-BFGS does the steps. Features of a deep layer vary a thousand
times more in a few directions than in most, so the weights are preconditioned by the Cholesky factor of the Hessian
averaged over classes.

Shapes: N samples, D features and one for the intercept, C classes.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from unseen.probes.inputs import ProbeWarning

GRADIENT_NORM = 2e-5  # of the summed loss, times N; scikit-learn stops at a largest entry of 1e-4 N
RELATIVE_GRADIENT_NORM = 1e-10  # of the first gradient: what float64 can reach when features are huge
MAX_STEPS = 1000
_FIRST_STEPS, _LONGER = (
    20,
    10,
)  # until the preconditioner is computed again; how much longer the next one is used
_SINGLE_RANGE = 1e4  # features beyond leave float32 too few digits for the tolerance


@dataclass(frozen=True)
class LogisticModel:
    """A fitted classifier.

    Attributes:
        weights: (C, D) float64.
        bias: (C,), of the features less `center`.
        center: Mean of the training features, (D,).
        converged: Whether the gradient got below the tolerance.
    """

    weights: Tensor
    bias: Tensor
    center: Tensor
    converged: bool

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits (N, C) of features (N, D)."""
        return (features.double() - self.center) @ self.weights.T + self.bias


def fit_logistic(
    features: Tensor, targets: Tensor, *, strength: float = 1.0, gradient_norm: float | None = None
) -> LogisticModel:
    """Return the L2-regularised multinomial logistic regression of targets on features.

    Equal to `sklearn.linear_model.LogisticRegression(C=strength)` run to convergence; for two classes, too, where that
    penalises the one vector w = w_1 - w_0, twice what the two opposite vectors of the softmax form would pay.

    Args:
        features: (N, D), finite.
        targets: Class indices (N,); 0..C-1 all occur, C >= 2.
        strength: scikit-learn's C, the inverse of the penalty.
        gradient_norm: Norm of the objective's gradient at which the fit is done; None: GRADIENT_NORM * N.

    Returns:
        The classifier; a warning says so if it did not converge.
    """
    num_classes = int(targets.max()) + 1
    center = features.mean(0, dtype=torch.float64)  # (D,); the free intercept makes the shift exact
    centered = features - center  # (N, D) float64
    basis = None
    if centered.shape[1] > len(centered):
        # The optimal weights lie in the span of the samples: rotate into it.
        basis, triangle = torch.linalg.qr(centered.T)  # (D, N), (N, N)
        centered = triangle.T  # (N, N)
    design = torch.cat([centered, centered.new_ones(len(centered), 1)], 1)  # (N, D+1)
    problem = _Problem(design, targets, num_classes, (2.0 if num_classes == 2 else 1.0) / strength)
    weights = design.new_zeros(num_classes, design.shape[1])  # (C, D+1)
    norm = problem.gradient_norm(weights)
    goal = GRADIENT_NORM * len(design) if gradient_norm is None else gradient_norm
    goal = max(goal, RELATIVE_GRADIENT_NORM * norm)
    for dtype in (torch.float32, torch.float64):  # single precision has half the cost, and mostly does
        if norm > goal and (dtype == torch.float64 or float(design.abs().max()) <= _SINGLE_RANGE):
            weights = problem.minimize(weights, goal / 2, dtype)
            norm = problem.gradient_norm(weights)
    if norm > goal:
        warnings.warn(
            f"logistic regression stopped at gradient norm {norm:.1e}, above {goal:.1e}; its accuracy is approximate",
            ProbeWarning,
            stacklevel=2,
        )
    slopes = weights[:, :-1] if basis is None else weights[:, :-1] @ basis.T  # (C, D)
    bias = weights[:, -1] - weights[:, -1].mean()  # a common shift changes nothing, and nothing else fixes it
    return LogisticModel(slopes, bias, center, norm <= goal)


@dataclass(frozen=True)
class _Problem:
    """What is minimised."""

    design: Tensor  # (N, D+1) float64, the last feature 1 for the intercept
    targets: Tensor  # (N,)
    num_classes: int
    penalty: float  # of the squared weights, but for the intercept's

    def minimize(self, weights: Tensor, goal: float, dtype: torch.dtype) -> Tensor:
        """Return weights (C, D+1) where the gradient's norm is about `goal`, or those that are reached.

        Products have the type `dtype`: what a round adds to the logits of its start is small, and so is its rounding.
        """
        design, steps, length, norm = self.design.to(dtype), 0, _FIRST_STEPS, torch.inf
        while steps < MAX_STEPS:
            before = norm
            weights, norm = self._descend(weights, goal, design, min(length, MAX_STEPS - steps))
            if norm <= goal or norm >= before:  # rounding allows no more
                break
            steps, length = steps + length, _LONGER * length
        return weights

    def _descend(self, start: Tensor, goal: float, design: Tensor, steps: int) -> tuple[Tensor, float]:
        """Return weights and the gradient's norm there after at most so many steps, preconditioned at the start."""
        logits = self.design @ start.T  # (N, C) float64
        inverse = self._preconditioner(design, logits.softmax(1))
        moved = torch.zeros_like(start)  # (C, D+1), before preconditioning
        latest = start, torch.inf

        def loss() -> float:
            nonlocal latest
            move = moved.to(design.dtype) @ inverse
            value, gradient, norm = self._evaluate(start + move, logits + design @ move.T, design)
            latest = start + move, norm
            if norm <= goal:
                raise _Converged
            moved.grad = (gradient.to(design.dtype) @ inverse.T).double()
            return value

        optimizer = torch.optim.LBFGS(
            [moved],
            max_iter=steps,
            max_eval=2 * steps,
            tolerance_grad=0,
            tolerance_change=0,
            history_size=20,
            line_search_fn="strong_wolfe",
        )
        with suppress(_Converged):
            optimizer.step(loss)  # type: ignore[no-untyped-call]
            loss()  # where the last line search ended, which need not be where it looked last
        return latest

    def gradient_norm(self, weights: Tensor) -> float:
        """Return the norm of the gradient at weights (C, D+1), see `_evaluate`."""
        return self._evaluate(weights, self.design @ weights.T, self.design)[2]

    def _evaluate(self, weights: Tensor, logits: Tensor, design: Tensor) -> tuple[float, Tensor, float]:
        """Return the loss, its gradient (C, D+1) and the norm whose half square tells how far it is above the optimum.

        In W the objective is 1-strongly convex (at strength 1), so half the squared norm is a bound. The intercept has
        no penalty, only the curvature of the loss, which vanishes as the classes separate: its gradient is divided by
        the root of that curvature, which makes the whole a close estimate.
        """
        own = torch.arange(len(logits), device=logits.device), self.targets
        normalizer = logits.logsumexp(1, keepdim=True)
        p = (logits - normalizer).to(design.dtype).exp_()  # (N, C)
        curvature = (1 - p.square().sum(1)).clamp(0, 1).sum(dtype=torch.float64).clamp(1e-12, 1)
        p[own] -= 1  # now the residuals
        shrunk = self.penalty * weights
        shrunk[:, -1] = 0
        gradient = (p.T @ design).double() + shrunk
        value = (weights * shrunk).sum() / 2 + normalizer.sum() - logits[own].sum()
        squares = gradient[:, :-1].square().sum() + gradient[:, -1].square().sum() / curvature
        return float(value), gradient, float(squares.sqrt())

    def _preconditioner(self, design: Tensor, p: Tensor) -> Tensor:
        """Return the inverse Cholesky factor (D+1, D+1) of the class-averaged Hessian at probabilities p (N, C)."""
        traces = (1 - p.square().sum(1)).clamp_min(0) / (self.num_classes - 1)  # (N,)
        weighted = design * traces.sqrt()[:, None].to(design.dtype)
        hessian = (weighted.T @ weighted).double()
        diagonal = hessian.diagonal()
        diagonal += max(self.penalty, 1e-6 * float(diagonal.max()))  # rounding leaves it positive definite
        factor = torch.linalg.cholesky(hessian).to(design.dtype)
        inverse: Tensor = torch.linalg.solve_triangular(
            factor, torch.eye(len(factor)).to(factor), upper=False
        )
        return inverse


class _Converged(Exception):  # noqa: N818 - it ends a search, and is no error
    """The gradient is small enough."""
