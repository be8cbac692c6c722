"""PyTorch's modes that hold for the whole process, put back after a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.utils.deterministic


@contextmanager
def same_modes_afterwards() -> Iterator[None]:
    """Put deterministic mode back as it was."""
    on, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filled = torch.utils.deterministic.fill_uninitialized_memory
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(on, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = filled


@contextmanager
def filled_memory() -> Iterator[None]:
    """Fill every new array with NaN or the largest whole number: who reads memory that nobody wrote gets these."""
    with same_modes_afterwards():
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = True
        assert torch.empty(3).isnan().all()
        yield
