"""Training state that is equal before and after something else has used the network."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def preserve(module: nn.Module) -> Iterator[None]:
    """Put `module` into eval mode; afterwards every sub-module's mode and all random states are as before.

    Restoring mode by mode keeps a frozen batch norm frozen; restoring the random states keeps the loss curve
    bit-equal. Both hold whatever is raised inside.
    """
    modes = {name: child.training for name, child in module.named_modules()}
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    module.eval()
    try:
        yield
    finally:
        for name, child in module.named_modules():
            child.training = modes[name]
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002  (the global state is restored, never used)
        torch.set_rng_state(torch_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)
