"""Learning-rate factor over the optimiser steps."""


def linear_decay(step: int, *, total_steps: int, warmup_steps: int = 0) -> float:
    """Return the factor on the peak learning rate at `step` (0-based): linear warm-up, then linear decay to 0.

    Without warm-up this is the papers' schedule: 1 at step 0, 0 at `total_steps` (arXiv 2402.14095).

    >>> [linear_decay(step, total_steps=4) for step in range(5)]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    >>> [linear_decay(step, total_steps=4, warmup_steps=2) for step in range(5)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))
