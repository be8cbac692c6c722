"""Multinomial logistic regression, solved to its unique optimum on the device of the features.

The objective is scikit-learn's: sum of cross-entropies + |W|^2 / (2 C), intercept free. It is strictly convex, so every
solver that converges finds the same classifier. torch's L-BFGS does the steps. Features of a deep layer vary a thousand
times more in a few directions than in most, so the weights are preconditioned by the Cholesky factor of the Hessian
averaged over classes.

Shapes: N samples, D features and one for the intercept, C classes.
"""

from __future__ import annotations

import math
import warnings
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from unseen.probes.inputs import ProbeWarning
from unseen.probes.threads import product

GRADIENT_NORM = 2e-5  # of the summed loss, times N; scikit-learn stops at a largest entry of 1e-4 N
# Of the objective above its optimum: large features that separate the classes make it tiny.
RELATIVE_GAP = 1e-5
MAX_STEPS = 1000
# Until the preconditioner is computed again; how much longer the next one is used.
_FIRST_STEPS, _LONGER = 20, 3
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
        gradient_norm: Norm of the objective's gradient at which the fit is done; None: GRADIENT_NORM * N, or what makes
            sure that the objective is within RELATIVE_GAP of its optimum, if that is less.

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
    problem = _Problem(
        design, targets, num_classes, (2.0 if num_classes == 2 else 1.0) / strength, gradient_norm
    )
    weights = design.new_zeros(num_classes, design.shape[1])  # (C, D+1)
    norm, goal = problem.gradient_norm(weights)
    for dtype in (torch.float32, torch.float64):  # single precision has half the cost, and mostly does
        if norm > goal and (dtype == torch.float64 or float(design.abs().max()) <= _SINGLE_RANGE):
            weights = problem.minimize(weights, dtype)
            norm, goal = problem.gradient_norm(weights)
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
    enough: float | None  # gradient norm at which the fit is done

    def goal(self, value: float) -> float:
        """Return the gradient's norm at which the fit is done where the loss is `value`."""
        if self.enough is not None:
            return self.enough
        # half the squared norm bounds the gap, see `_evaluate`
        return min(GRADIENT_NORM * len(self.design), math.sqrt(2 * RELATIVE_GAP * value))

    def minimize(self, weights: Tensor, dtype: torch.dtype) -> Tensor:
        """Return weights (C, D+1) where the gradient's norm is at most half the goal, or those that are reached.

        Products have the type `dtype`: what a round adds to the logits of its start is small, and so is its rounding.
        """
        design, steps, length, norm = self.design.to(dtype), 0, _FIRST_STEPS, torch.inf
        while steps < MAX_STEPS:
            before = norm
            weights, norm, done = self._descend(weights, design, min(length, MAX_STEPS - steps))
            if done or norm >= before:  # rounding allows no more
                break
            steps, length = steps + length, _LONGER * length
        return weights

    def _descend(self, start: Tensor, design: Tensor, steps: int) -> tuple[Tensor, float, bool]:
        """Go at most so many steps, preconditioned at the start; return weights, the gradient's norm, whether done."""
        logits = (self.design @ start.T).to(design.dtype)  # (N, C)
        losses, _, curvatures = self._fit(logits)
        value = float(losses.sum(dtype=torch.float64) + self.penalty / 2 * start[:, :-1].square().sum())
        up = 1 / math.sqrt(
            min(value, 1.0)
        )  # torch's L-BFGS has absolute thresholds, for losses of 1 and more
        inverse = self._preconditioner(design, curvatures) / up
        moved = torch.zeros_like(start)  # (C, D+1), before preconditioning
        latest = start, torch.inf, False

        def loss() -> float:
            nonlocal latest
            move = product(moved.to(design.dtype), inverse)
            value, gradient, norm = self._evaluate(start + move, logits + product(design, move.T), design)
            latest = start + move, norm, norm <= self.goal(value) / 2
            if latest[2]:
                raise _Converged
            moved.grad = product(gradient.to(design.dtype), inverse.T).double() * up**2
            return value * up**2

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

    def gradient_norm(self, weights: Tensor) -> tuple[float, float]:
        """Return the norm of the gradient at weights (C, D+1), see `_evaluate`, and its goal."""
        value, _, norm = self._evaluate(weights, self.design @ weights.T, self.design)
        return norm, self.goal(value)

    def _evaluate(self, weights: Tensor, logits: Tensor, design: Tensor) -> tuple[float, Tensor, float]:
        """Return the loss, its gradient (C, D+1) and the norm whose half square tells how far it is above the optimum.

        In W the objective is 1-strongly convex (at strength 1), so half the squared norm is a bound. The intercept has
        no penalty, only the curvature of the loss, which vanishes as the classes separate: its gradient is divided by
        the root of that curvature, which makes the whole a close estimate.
        """
        losses, residuals, curvatures = self._fit(logits)
        curvature = curvatures.sum(dtype=torch.float64).clamp(1e-200, 1)
        shrunk = self.penalty * weights
        shrunk[:, -1] = 0
        gradient = product(residuals.T, design).double() + shrunk
        value = (weights * shrunk).sum() / 2 + losses.sum(dtype=torch.float64)
        squares = gradient[:, :-1].square().sum() + gradient[:, -1].square().sum() / curvature
        return float(value), gradient, float(squares.sqrt())

    def _fit(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return cross-entropies (N,), residuals p - [own class] (N, C), and 1 - |p|^2 (N,), all to their last digits.

        They are tiny where large features separate the classes, and 1 - p would have none of their digits.
        """
        own = torch.arange(len(logits), device=logits.device), self.targets
        others = logits - logits[own][:, None]  # (N, C)
        others[own] = -torch.inf
        odds = others.logsumexp(1)  # (N,), log of the odds of another class
        losses, missed = F.softplus(odds, threshold=50), odds.sigmoid()
        p = others.sub_(losses[:, None]).exp_()  # (N, C), but 0 for the own class
        curvatures = missed * (2 - missed) - p.square().sum(1)
        p[own] = -missed
        return losses, p, curvatures

    def _preconditioner(self, design: Tensor, curvatures: Tensor) -> Tensor:
        """Return the inverse Cholesky factor (D+1, D+1) of the class-averaged Hessian where 1 - |p|^2 is (N,)."""
        traces = curvatures.clamp_min(0) / (self.num_classes - 1)  # (N,)
        weighted = design * traces.sqrt()[:, None].to(design.dtype)
        hessian = product(weighted.T, weighted).double()
        diagonal = hessian.diagonal()
        diagonal[:-1] += max(
            self.penalty, 1e-6 * float(diagonal.max())
        )  # rounding leaves it positive definite
        diagonal[-1] *= 1.001
        factor = torch.linalg.cholesky(hessian).to(design.dtype)
        inverse: Tensor = torch.linalg.solve_triangular(
            factor, torch.eye(len(factor)).to(factor), upper=False
        )
        return inverse


class _Converged(Exception):  # noqa: N818 - it ends a search, and is no error
    """The gradient is small enough."""
