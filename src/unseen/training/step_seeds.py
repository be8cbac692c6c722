"""Random numbers of a step of training that depend on its place alone, so that a resumed run draws the same."""

from __future__ import annotations

import torch
from numpy.random import SeedSequence


def seed_step(*place: int) -> None:
    """Seed torch's generators for what is drawn from here on, such as dropout.

    Args:
        place: Whole numbers: the run's seed, the step, the process, ...
    """
    torch.manual_seed(int(SeedSequence(place).generate_state(1, "uint64")[0]))
