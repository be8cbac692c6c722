"""Which part of a network is its head: the layer that makes logits of an embedding."""

from __future__ import annotations

from torch import nn

from unseen.backbones.protocol import Backbone


def head_of(backbone: Backbone) -> nn.Module:
    """Return the layer that makes the logits: (B, D) or (B, D, 1, 1) in.

    That is what the library calls its classifier; in a module of one's own the last linear layer, or convolution, with
    as many outputs as there are classes.

    Raises:
        ValueError: There is none.
    """
    network: nn.Module = backbone.network
    configuration = getattr(network, "pretrained_cfg", None)  # timm's
    named = configuration.get("classifier") if isinstance(configuration, dict) else None
    modules: dict[str, nn.Module] = dict(network.named_modules())
    for name in [named] if isinstance(named, str) else named or ["classifier"]:
        if name in modules and _makes_logits(modules[name], backbone.num_classes):
            return modules[name]
    fitting = [module for module in modules.values() if _makes_logits(module, backbone.num_classes)]
    if not fitting:
        raise ValueError(
            f"no layer of this network is known to be its head: none is linear and has {backbone.num_classes} outputs"
        )
    return fitting[-1]


def _makes_logits(module: nn.Module, num_classes: int) -> bool:
    outputs = getattr(module, "out_features", None) or getattr(module, "out_channels", None)
    return isinstance(module, nn.Linear | nn.Conv2d) and outputs == num_classes
