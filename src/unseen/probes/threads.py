"""One thread a probe on the CPU, and probes side by side: the same values whatever the number of threads."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

_LARGE = 32  # rows and columns; the time of smaller products is that of reading memory


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Hold torch and NumPy to one thread on the CPU: the last bits of products depend on the number.

    The number is the whole process's; work that runs side by side is begun and ended inside one such block.
    """
    if device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    with _libraries().limit(limits=1, user_api="blas"):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix product; of large matrices on the CPU NumPy's.

    Its OpenBLAS takes 0.7 of the time of torch's MKL on AMD's processors, and 0.4 for x.T @ x, which is symmetric.
    """
    if left.is_cuda or min(len(left), right.shape[1]) < _LARGE:
        return left @ right
    return torch.from_numpy(left.numpy() @ right.numpy())
