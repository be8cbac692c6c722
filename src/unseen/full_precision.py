"""Evaluation in float32, whatever training uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import torch

EvalPrecision = Literal[32, "tf32"]


@contextmanager
def full_precision(device: torch.device, precision: EvalPrecision = 32) -> Iterator[None]:
    """Compute in float32 inside: no autocast.

    On CUDA this sets cuDNN's convolutions and matrix products alike; PyTorch's own default is TF32 for the first and
    not for the second. On other devices `precision` has no effect.

    Args:
        device: Where the block computes.
        precision: 32: exact products; "tf32": their factors are rounded to TensorFloat-32's ten bits, which is faster.
    """
    on_cuda = device.type == "cuda"
    backends = (torch.backends.cudnn.conv, torch.backends.cuda.matmul) if on_cuda else ()  # type: ignore[attr-defined]
    with ExitStack() as before, torch.autocast(device.type, enabled=False):
        for backend in backends:
            before.callback(setattr, backend, "fp32_precision", backend.fp32_precision)
            backend.fp32_precision = "ieee" if precision == 32 else "tf32"
        yield
