"""What a network cut after each of its layers costs: parameters, and time of a forward pass.

Legend: B batch, S image size, L layers.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from unseen.backbones.cut import cut, sample_images
from unseen.backbones.protocol import Backbone
from unseen.wording import count

BATCH = 16
_WARM_UP, _ROUNDS = 3, 20


@dataclass(frozen=True)
class LayerCosts:
    """Costs up to each of L layers, and of the whole network.

    Attributes:
        parameters: Of the network cut after each layer, (L,).
        all_parameters: Of the whole network, its head included.
        milliseconds: Of a forward pass until each layer has ended, (L,): the median of 20 passes.
        all_milliseconds: Of a whole pass, the median of the same ones.
        batch: B, images of a pass.
        image_size: S.
        device: On which it was timed, and with how many threads.
    """

    parameters: list[int]
    all_parameters: int
    milliseconds: list[float]
    all_milliseconds: float
    batch: int
    image_size: int
    device: str


def layer_costs(
    backbone: Backbone, device: torch.device, *, memory_format: torch.memory_format = torch.contiguous_format
) -> LayerCosts:
    """Return what a network costs up to each layer, from a copy in eval mode.

    The times of all layers are read in the same passes, so that what else runs on the machine meets all alike; on
    CUDA by events, elsewhere by the clock.

    Args:
        backbone: Stays as it is, and where it is.
        device: Where it is timed: CUDA or CPU.
        memory_format: Of the images.

    Raises:
        ValueError: The network cannot be cut after a layer.
    """
    network = copy.deepcopy(backbone).to(device).eval()
    parameters = [_size(cut(network, tap.layer)) for tap in network.taps]
    images = sample_images(network, BATCH).contiguous(memory_format=memory_format)
    with torch.no_grad():
        for _ in range(_WARM_UP):
            network(images)
        passes = [_timed(network, images) for _ in range(_ROUNDS)]  # each (L + 1,)
    medians = [median(times) for times in zip(*passes, strict=True)]
    on_cuda = device.type == "cuda"
    named = (
        torch.cuda.get_device_name(device)
        if on_cuda
        else f"CPU with {count(torch.get_num_threads(), 'thread')}"
    )
    return LayerCosts(parameters, _size(network), medians[:-1], medians[-1], BATCH, network.image_size, named)


def _size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _timed(network: Backbone, images: Tensor) -> list[float]:
    """Return the milliseconds of a pass until each layer has ended, and until its end."""
    on_cuda = images.is_cuda
    ends: list[Any] = []

    def stamp(*_: object) -> None:
        if on_cuda:
            ends.append(torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]
            ends[-1].record()
        else:
            ends.append(time.perf_counter())

    handles = [network.network.get_submodule(tap.name).register_forward_hook(stamp) for tap in network.taps]
    try:
        stamp()
        network(images)
        stamp()
    finally:
        for handle in handles:
            handle.remove()
    if on_cuda:
        torch.cuda.synchronize(images.device)
    began, *rest = ends
    return [began.elapsed_time(end) if on_cuda else 1000 * (end - began) for end in rest]
