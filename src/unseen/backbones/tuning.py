"""Which parameters of a network are trained: all, some, or small ones that are added. The new head always is.

Each function changes a backbone in place. Layers keep their names; a layer that got an adapter includes it.
Shapes: B batch, D features, R width of an adapter or rank.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from unseen.backbones.discovery import survey, trace
from unseen.backbones.head import head_of
from unseen.backbones.protocol import Backbone
from unseen.backbones.spec import NetworkSpec

Tuning = Callable[[Backbone], None]


def full(backbone: Backbone) -> None:
    """Train every parameter, as the papers do."""


def head(backbone: Backbone) -> None:
    """Train the head alone (linear probing): the embeddings stay what they were."""
    _train_only(backbone, ())


def last_n(backbone: Backbone, *, n: int = 1) -> None:
    """Train what runs after the layer n places before the last one: the last n layers, a norm behind them, the head.

    Raises:
        ValueError: There are no such layers.
    """
    layers = len(backbone.taps)
    if not 1 <= n < layers:
        raise ValueError(
            f"model.tuning.n={n} must lie between 1 and {layers - 1}: the network has {layers} layers"
        )
    _train_only(backbone, _begun_after(backbone, backbone.taps[layers - 1 - n].name))


def bitfit(backbone: Backbone) -> None:
    """Train the biases, those of norms included (BitFit: Ben Zaken et al., arXiv 2106.10199).

    Raises:
        ValueError: There are none.
    """
    found = biases_of(backbone.network)
    if found <= {name for name, _ in _head_parameters(backbone)}:
        raise ValueError("tuning=bitfit trains biases, and this network has none outside its head")
    _train_only(backbone, found)


def attention(backbone: Backbone) -> None:
    """Train the attention layers (Touvron et al., arXiv 2203.09795).

    Raises:
        ValueError: There are none.
    """
    found = {
        f"{name}.{inner}"
        for name, module in backbone.network.named_modules()
        if "Attention" in type(module).__name__ or {"attn", "attention"} & set(name.split("."))
        for inner, _ in module.named_parameters()
    }
    if not found:
        raise ValueError(
            "tuning=attention trains attention layers, and this network has none; use tuning=full, head, last_n, "
            "bitfit, lora or adapter"
        )
    _train_only(backbone, found)


def lora(backbone: Backbone, *, rank: int = 8, alpha: float = 16.0, dropout: float = 0.0) -> None:
    """Add a low-rank update to the weight of every linear layer and ungrouped convolution.

    The update is (alpha / rank) B A (Hu et al., arXiv 2106.09685); B begins at 0, so that the network begins as it
    was. Made by peft.

    Raises:
        ValueError: A rank below 1, peft is not installed, or there is no such layer.
    """
    if rank < 1:
        raise ValueError(f"model.tuning.rank={rank} must be at least 1")
    if not 0 <= dropout < 1:
        raise ValueError(f"model.tuning.dropout={dropout} must be at least 0 and less than 1")
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError as error:
        raise ValueError("tuning=lora needs peft: pip install 'unseen[tuning]'") from error
    network, of_head = backbone.network, head_of(backbone)
    with _evaluating(backbone):
        called = trace(network, backbone.image_size, str(_device(backbone)))  # some weights are used uncalled
    names = [
        name
        for name, module in network.named_modules()
        if name in called
        and module is not of_head
        and (isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1))
    ]
    if not names:
        raise ValueError(
            "tuning=lora: this network has no linear layer or ungrouped convolution outside its head"
        )
    only = "|".join(map(re.escape, names))  # a list would be taken for ends of names
    inject_adapter_in_model(
        LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=f"({only})"),  # type: ignore[arg-type]
        network,
    )
    _train_only(backbone, {name for name, _ in network.named_parameters() if ".lora_" in name})


def adapter(backbone: Backbone, *, width: int = 16) -> None:
    """Add a bottleneck between every two layers: x + up(GELU(down(x))).

    After Houlsby et al. (arXiv 1902.00751), who put two into every block. `up` begins at 0, so that the network begins
    as it was.

    Raises:
        ValueError: A width below 1, or a network of a single layer.
    """
    if width < 1:
        raise ValueError(f"model.tuning.width={width} must be at least 1")
    if len(backbone.taps) < 2:
        raise ValueError("tuning=adapter adds adapters between layers, and this network has a single one")
    with _evaluating(backbone):
        firings = trace(backbone.network, backbone.image_size, str(_device(backbone)))
    _train_only(backbone, ())
    backbone.adapters = nn.ModuleList()
    for tap in backbone.taps[:-1]:
        shape = firings[tap.name].shape
        assert shape is not None
        added = Bottleneck(
            shape[1 if tap.layout == "nchw" else -1], width, channels_first=tap.layout == "nchw"
        )
        backbone.adapters.append(added.to(_device(backbone)))
        backbone.network.get_submodule(tap.name).register_forward_hook(partial(_adapted, added))


class Bottleneck(nn.Module):
    """x + up(GELU(down(x))) over the features of tokens (..., D), or of maps (B, D, H, W)."""

    def __init__(self, features: int, width: int, *, channels_first: bool) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(features, width), nn.Linear(width, features)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self._channels_first = channels_first

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (same shape as x) with the correction added."""
        moved = x.movedim(1, -1) if self._channels_first else x
        correction: Tensor = self.up(nn.functional.gelu(self.down(moved)))
        return x + (correction.movedim(-1, 1) if self._channels_first else correction)


def check_tuning(tuning: Tuning, spec: object, image_size: int) -> None:
    """Try a tuning on a network without its weights, mostly without memory.

    Raises:
        ValueError: The tuning does not suit the network.
    """
    if not isinstance(spec, NetworkSpec):
        return
    with torch.random.fork_rng(devices=[]), torch.device(spec.traced_on):
        network = spec.create(image_size, num_classes=2)
        taps = survey(spec, image_size)
        tuning(Backbone(network, taps, num_classes=2, image_size=image_size, mean=spec.mean, std=spec.std))


def counted(module: nn.Module) -> tuple[int, int]:
    """Return how many parameters there are, and how many of them are trained."""
    parameters = list(module.parameters())
    return sum(one.numel() for one in parameters), sum(one.numel() for one in parameters if one.requires_grad)


def biases_of(module: nn.Module) -> set[str]:
    """Return the names of the biases, those of norms included."""
    return {name for name, value in module.named_parameters() if name.endswith("bias") and value.ndim == 1}


def frozen_norms(backbone: nn.Module) -> list[nn.Module]:
    """Return the batch norms that keep their statistics: in a network partly frozen, those without trained weights."""
    if all(parameter.requires_grad for parameter in backbone.parameters()):
        return []
    return [
        module
        for module in backbone.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and not any(parameter.requires_grad for parameter in module.parameters())
    ]


# ------------------------------------------------------------------ what the functions share
def _train_only(backbone: Backbone, names: Collection[str]) -> None:
    """Freeze all parameters of the network but the named ones and the head's."""
    of_head = {name for name, _ in _head_parameters(backbone)}
    for name, parameter in backbone.network.named_parameters():
        parameter.requires_grad_(name in names or name in of_head)


def _head_parameters(backbone: Backbone) -> Iterator[tuple[str, nn.Parameter]]:
    of_head = set(map(id, head_of(backbone).parameters()))
    return ((name, value) for name, value in backbone.network.named_parameters() if id(value) in of_head)


def _begun_after(backbone: Backbone, layer: str) -> set[str]:
    """Return the parameters of modules that begin to run only after a layer has ended."""
    network, ended = backbone.network, False
    before: set[str] = set()
    names = {module: name for name, module in network.named_modules()}

    def on_begin(module: nn.Module, _inputs: Any) -> None:
        if not ended:
            before.update(
                f"{names[module]}.{inner}".lstrip(".") for inner, _ in module.named_parameters(recurse=False)
            )

    def on_end(*_: Any) -> None:
        nonlocal ended
        ended = True

    handles = [module.register_forward_pre_hook(on_begin) for module in names]
    handles.append(network.get_submodule(layer).register_forward_hook(on_end))
    try:
        with _evaluating(backbone), torch.no_grad():
            network(torch.zeros(2, 3, backbone.image_size, backbone.image_size, device=_device(backbone)))
    finally:
        for handle in handles:
            handle.remove()
    return {name for name, _ in network.named_parameters()} - before


@contextmanager
def _evaluating(backbone: Backbone) -> Iterator[None]:
    """Put the network into eval mode; afterwards it trains again."""
    backbone.eval()
    try:
        yield
    finally:
        backbone.train()


def _device(backbone: Backbone) -> torch.device:
    return next(backbone.parameters()).device


def _adapted(added: nn.Module, _module: nn.Module, _inputs: Any, output: Any) -> Any:
    """Return what the layer returned with its hidden state adapted (see `first_tensor`)."""
    if isinstance(output, tuple | list):
        return (_adapted(added, _module, _inputs, output[0]), *output[1:])
    return added(output)
