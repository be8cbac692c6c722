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
# The same as the preconditioner estimates it, which can be a hundred times too little (`_Problem.excess`).
ESTIMATED_GAP = 1e-7
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
            sure that the objective is within RELATIVE_GAP of its optimum, if that is less, or where ESTIMATED_GAP says
            so.

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
    excess = problem.excess(weights, None)
    for dtype in (torch.float32, torch.float64):  # single precision has half the cost, and mostly does
        if excess > 1 and (dtype == torch.float64 or float(design.abs().max()) <= _SINGLE_RANGE):
            weights, inverse = problem.minimize(weights, dtype)
            excess = problem.excess(weights, inverse)
    if excess > 1:
        warnings.warn(
            f"logistic regression stopped at a gradient {excess:.2g} times its tolerance; its accuracy is approximate",
            ProbeWarning,
            stacklevel=2,
        )
    slopes = weights[:, :-1] if basis is None else weights[:, :-1] @ basis.T  # (C, D)
    bias = weights[:, -1] - weights[:, -1].mean()  # a common shift changes nothing, and nothing else fixes it
    return LogisticModel(slopes, bias, center, excess <= 1)


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

    def minimize(self, weights: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return weights (C, D+1) whose excess is at most half, or those that are reached, and the last preconditioner.

        Products have the type `dtype`: what a round adds to the logits of its start is small, and so is its rounding.
        """
        design, steps, length, value = self.design.to(dtype), 0, _FIRST_STEPS, torch.inf
        while True:
            before = value
            weights, value, inverse, done = self._descend(weights, design, min(length, MAX_STEPS - steps))
            steps, length = steps + length, _LONGER * length
            if done or value >= before or steps >= MAX_STEPS:  # no less: rounding allows no more
                return weights, inverse

    def _descend(self, start: Tensor, design: Tensor, steps: int) -> tuple[Tensor, float, Tensor, bool]:
        """Go at most so many steps, preconditioned at the start.

        Returns:
            The weights with the least loss, that loss, the preconditioner, and whether the weights are good enough.
        """
        logits = (self.design @ start.T).to(design.dtype)  # (N, C)
        losses, _, curvatures = self._fit(logits)
        value = float(losses.sum(dtype=torch.float64) + self.penalty / 2 * start[:, :-1].square().sum())
        up = 1 / math.sqrt(
            min(value, 1.0)
        )  # torch's L-BFGS has absolute thresholds, for losses of 1 and more
        inverse = self._preconditioner(design, curvatures)
        moved = torch.zeros_like(start)  # (C, D+1), before preconditioning
        least, done = (value, start), False

        def loss() -> float:
            nonlocal least, done
            move = product(moved.to(design.dtype), inverse) / up
            value, gradient, norm = self._evaluate(start + move, logits + product(design, move.T), design)
            scaled = product(gradient.to(design.dtype), inverse.T).double()
            done = self._excess(value, norm, scaled) <= 1 / 2
            if done or value < least[0]:
                least = value, start + move
            if done:
                raise _Converged
            moved.grad = scaled * up
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
        return least[1], least[0], inverse, done

    def excess(self, weights: Tensor, inverse: Tensor | None) -> float:
        """Return how many times too large the gradient is at weights (C, D+1); up to 1 the fit is done.

        There are two measures of how far the loss is above its optimum, and the smaller excess counts: the norm of
        `_evaluate`, a bound that is far too wide where features vary along few directions; and half the squared
        gradient in the metric of the preconditioner, which would be the gap if all classes had the same curvature
        (Newton's decrement; Boyd & Vandenberghe 2004, 9.5.1).

        Args:
            weights: Where.
            inverse: The preconditioner (D+1, D+1); None: by the norm alone.
        """
        value, gradient, norm = self._evaluate(weights, self.design @ weights.T, self.design)
        return self._excess(value, norm, None if inverse is None else gradient @ inverse.double().T)

    def _excess(self, value: float, norm: float, scaled: Tensor | None) -> float:
        by_norm = norm / self.goal(value) if norm else 0.0
        if scaled is None or self.enough is not None:
            return by_norm
        estimate = float(scaled.square().sum()) / 2
        return min(by_norm, math.sqrt(estimate / (ESTIMATED_GAP * value)))

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
