"""Tensors that claim to be on a device that is not there: shapes, types and devices are checked, nothing is computed.

An operation on tensors of two devices fails on them as it does on a GPU. They cost no memory, so a network of any size
is quick. A forward pass runs on `cuda`, autocast included. PyTorch's autograd needs a driver for `cuda`, so backward
passes run on `lazy`, another device than the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

Module = TypeVar("Module", bound=nn.Module)


@contextmanager
def fake_device() -> Iterator[None]:
    """Make every tensor a fake one inside the block, on whatever device it is asked for."""
    # where CUDA is missing, autocast switches itself off with a warning, or asks the driver
    claims = {"is_available": lambda: True, "is_bf16_supported": lambda **_: True}
    with FakeTensorMode(), patch.multiple("torch.cuda", **claims):
        yield


def moved(module: Module, device: str) -> Module:
    """Move a module that was built on `meta` as `module.to(device)` moves one that was built on the CPU.

    Parameters and buffers go; a tensor that is a plain attribute stays, and its first use fails.
    """

    def empty(held: Tensor) -> Tensor:
        return torch.empty_strided(held.size(), held.stride(), dtype=held.dtype, device=device)

    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        return module._apply(empty)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
