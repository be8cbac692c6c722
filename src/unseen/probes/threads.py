"""One thread a probe on the CPU, and probes side by side: the same values whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Hold torch to one thread on the CPU: the blocks of its products, and so their last bits, depend on the number.

    The number is the whole process's; work that runs side by side is begun and ended inside one such block.
    """
    before = torch.get_num_threads()
    if device.type != "cpu" or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
