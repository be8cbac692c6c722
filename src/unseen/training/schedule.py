"""Learning-rate schedules over the optimiser steps: linear, cosine or no decay, each after a linear warm-up."""

from __future__ import annotations

import math
from functools import partial

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def linear_decay(step: int, *, total_steps: int, warmup_steps: int = 0) -> float:
    """Return the factor on the peak learning rate at `step` (0-based): linear warm-up, then linear decay to 0.

    Without warm-up this is the papers' schedule: 1 at step 0, 0 at `total_steps` (arXiv 2402.14095).

    >>> [linear_decay(step, total_steps=4) for step in range(5)]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    >>> [linear_decay(step, total_steps=4, warmup_steps=2) for step in range(5)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return warm_up(step, warmup_steps=warmup_steps)
    return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))


def cosine_decay(step: int, *, total_steps: int, warmup_steps: int = 0) -> float:
    """Return the factor at `step`: linear warm-up, then (1 + cos πt) / 2 with t from 0 to 1 (arXiv 1608.03983, eq. 5).

    >>> [round(cosine_decay(step, total_steps=4), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    line = linear_decay(step, total_steps=total_steps, warmup_steps=warmup_steps)
    return line if step < warmup_steps else 0.5 * (1 + math.cos(math.pi * (1 - line)))


def warm_up(step: int, *, warmup_steps: int = 0) -> float:
    """Return the factor at `step`: linear warm-up, then 1.

    >>> [warm_up(step, warmup_steps=2) for step in range(3)]
    [0.5, 1.0, 1.0]
    """
    return (step + 1) / warmup_steps if step < warmup_steps else 1.0


def linear(optimizer: Optimizer, *, total_steps: int, warmup_steps: int = 0) -> LambdaLR:
    """Return the schedule of `linear_decay`."""
    return LambdaLR(optimizer, partial(linear_decay, total_steps=total_steps, warmup_steps=warmup_steps))


def cosine(optimizer: Optimizer, *, total_steps: int, warmup_steps: int = 0) -> LambdaLR:
    """Return the schedule of `cosine_decay`."""
    return LambdaLR(optimizer, partial(cosine_decay, total_steps=total_steps, warmup_steps=warmup_steps))


def constant(optimizer: Optimizer, *, warmup_steps: int = 0) -> LambdaLR:
    """Return the schedule of `warm_up`."""
    return LambdaLR(optimizer, partial(warm_up, warmup_steps=warmup_steps))
