"""Sharpness-aware minimisation (Foret et al., arXiv 2010.01412) as Lightning steps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_optimizer import SAM
from pytorch_optimizer.optimizer.utils.model import disable_running_stats, enable_running_stats
from torch import Tensor, nn


class SharpnessAware(SAM):
    """SAM of pytorch_optimizer, whose step computes the first gradients, too.

    A step has two passes: the gradients g at the weights w, and those at w + rho g / |g|, which the base optimiser then
    applies to w. With several processes both are means over all of them.

    Attributes:
        perturbed: Whether the second pass is running.
    """

    perturbed = False

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor:  # type: ignore[override]  # a tensor, as Lightning's
        """Return the loss at the weights before the step.

        Args:
            closure: Clears the gradients, then computes the loss and its gradients.
        """
        assert closure is not None, "two passes are impossible under a gradient scaler"
        with torch.enable_grad():
            loss = closure()
        self.first_step()
        self.perturbed = True
        try:
            with torch.enable_grad():
                closure()
        finally:
            self.perturbed = False
        self.second_step()
        return loss


def sam(
    params: Iterable[nn.Parameter],
    *,
    lr: float,
    rho: float = 0.05,
    adaptive: bool = False,
    weight_decay: float = 0.0,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> SharpnessAware:
    """Return sharpness-aware minimisation with AdamW as its base.

    Args:
        params: To be trained.
        lr: Of AdamW.
        rho: Distance in the space of the weights at which the second gradients are taken.
        adaptive: Measure that distance in proportion to the weights (Kwon et al., arXiv 2102.11600).
        weight_decay: Of AdamW.
        betas: Of AdamW.
        eps: Of AdamW.

    Raises:
        ValueError: `rho` is not above 0.
    """
    if not rho > 0:
        raise ValueError(f"rho={rho} must be above 0")
    of_base: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "betas": tuple(betas), "eps": eps}
    return SharpnessAware(list(params), torch.optim.AdamW, rho=rho, adaptive=adaptive, **of_base)


@contextmanager
def kept_statistics(network: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch norms as they are inside: perturbed weights are not the network's."""
    disable_running_stats(network)
    try:
        yield
    finally:
        enable_running_stats(network)
