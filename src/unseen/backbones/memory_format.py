"""Which order of a picture's axes in memory suits a network."""

from __future__ import annotations

from torch import nn


def prefers_channels_last(network: nn.Module) -> bool:
    """Return whether a network has convolutions whose windows overlap, which usually get their channels innermost.

    What it gains depends on the network and the machine; benchmarks/options.py measures it.
    Patch embeddings (windows that tile the picture) and 1 x 1 convolutions do not count: a transformer has such, and
    gains nothing from reordering every batch.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and any(size > step for size, step in zip(layer.kernel_size, layer.stride, strict=True))
        for layer in network.modules()
    )
