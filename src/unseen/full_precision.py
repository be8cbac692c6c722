"""Evaluation in float32, whatever training uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute in float32 inside: no autocast, and no TensorFloat-32 in convolutions and products on CUDA.

    PyTorch lets cuDNN's convolutions round their input to TF32's ten bits unless it is told not to.
    """
    on_cuda = device.type == "cuda"
    backends = (torch.backends.cudnn.conv, torch.backends.cuda.matmul) if on_cuda else ()  # type: ignore[attr-defined]
    with ExitStack() as before, torch.autocast(device.type, enabled=False):
        for backend in backends:
            before.callback(setattr, backend, "fp32_precision", backend.fp32_precision)
            backend.fp32_precision = "ieee"
        yield
