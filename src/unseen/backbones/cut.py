"""A network cut after one of its layers: what does not run before the layer has ended is left out.

Shapes: B batch, S image size, D features.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from unseen.backbones.protocol import Backbone, Tap
from unseen.backbones.taps import Pooling, check_pooling, first_tensor, pool
from unseen.wording import one_line


class CutNetwork(nn.Module):
    """The part of a network up to a layer: normalised images (B, 3, S, S) in, embeddings (B, D) out.

    Its weights have the names that they have in a checkpoint of the whole network (`backbone.network.…`), so that
    `load_state_dict(checkpoint["state_dict"], strict=False)` takes them from there.

    Attributes:
        backbone: The network; modules that the layer does not need are `nn.Identity`. Not to be called by itself.
        tap: The layer.
        pooling: How its output becomes one vector an image: see `unseen.backbones.taps.pool`.
    """

    def __init__(self, backbone: Backbone, tap: Tap, pooling: Pooling) -> None:
        super().__init__()
        self.backbone = backbone
        self.tap = tap
        self.pooling: Pooling = pooling

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings (B, D), float32; gradients flow through them."""
        return pool(output_of(self.backbone, self.tap, images), self.tap, self.pooling)


def cut(backbone: Backbone, layer: int, *, pooling: Pooling = "auto") -> CutNetwork:
    """Return a copy of a network up to a layer, in eval mode.

    The forward pass stops when the layer has ended. Modules that have not begun by then, and no weight of which the
    output depends on, are removed. The copy is tried once on random images, before and after.

    Args:
        backbone: Any network with taps, such as `unseen.load_run(folder).network()`; it stays as it is.
        layer: Number of the layer, 0 is the shallowest.
        pooling: As in the run that chose the layer (`model.pooling`).

    Raises:
        ValueError: There is no such layer or pooling, or the network needs parts that do not run before the layer.
    """
    check_pooling(pooling)
    if not 0 <= layer < len(backbone.taps):
        raise ValueError(f"layer={layer} is not one of the network's layers 0..{len(backbone.taps) - 1}")
    tap = backbone.taps[layer]
    made = CutNetwork(copy.deepcopy(backbone), tap, pooling).eval()
    images = sample_images(backbone, 2)
    with torch.no_grad():
        before = made(images)
        for name in unneeded(made.backbone, tap):
            parent, _, child = name.rpartition(".")
            setattr(made.backbone.get_submodule(parent), child, nn.Identity())
        try:
            same = torch.allclose(made(images), before, rtol=1e-4, atol=1e-5)
        except Exception as error:  # whatever a network raises that misses a part
            raise ValueError(f"{_cannot(tap)}: {one_line(error)[:300]}") from error
    if not same:
        raise ValueError(f"{_cannot(tap)}: its embeddings change")
    return made


def _cannot(tap: Tap) -> str:
    return (
        f"the network cannot be cut after layer {tap.layer} ({tap.name}), because it needs parts that it does not "
        "run before"
    )


def output_of(backbone: Backbone, tap: Tap, images: Tensor) -> Tensor:
    """Return what a layer makes of images (B, 3, S, S), in its layout; the forward pass stops there."""

    def stop(_module: nn.Module, _inputs: object, output: object) -> None:
        raise _ReachedError(first_tensor(output))

    handle = backbone.network.get_submodule(tap.name).register_forward_hook(stop)
    try:
        backbone(images)
    except _ReachedError as reached:
        return reached.output
    finally:
        handle.remove()
    raise RuntimeError(f"the forward pass did not come to layer {tap.layer} ({tap.name})")


class _ReachedError(Exception):
    """Ends a forward pass; no error."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


def unneeded(backbone: Backbone, tap: Tap) -> list[str]:
    """Return the paths of the modules that a layer does not need, the outermost of nested ones.

    Some modules are never called and their weights read all the same (the output projection of
    `nn.MultiheadAttention`), so those count as needed that gradients reach. A list or dictionary of modules stays,
    as its length may be read; what it holds may go.

    Args:
        backbone: In eval mode; it stays as it is.
        tap: The layer.
    """
    begun: set[str] = set()
    names = {module: name for name, module in backbone.named_modules()}
    handles = [
        module.register_forward_pre_hook(lambda module, _inputs: begun.add(names[module])) for module in names
    ]
    weights = {name: value for name, value in backbone.named_parameters() if value.is_floating_point()}
    try:
        with torch.enable_grad(), _all_trained(list(weights.values())):
            output = output_of(backbone, tap, sample_images(backbone, 1))
            reached = (
                torch.autograd.grad(output.sum(), list(weights.values()), allow_unused=True)
                if output.requires_grad
                else [None] * len(weights)
            )
    finally:
        for handle in handles:
            handle.remove()
    needed = begun | {name for name, gradient in zip(weights, reached, strict=True) if gradient is not None}
    found: list[str] = []
    for name, module in backbone.named_modules():
        inside = not name or any(name.startswith(f"{outer}.") for outer in found)
        if inside or isinstance(module, nn.ModuleList | nn.ModuleDict):
            continue
        if not any(one == name or one.startswith(f"{name}.") for one in needed):
            found.append(name)
    return found


@contextmanager
def _all_trained(weights: list[nn.Parameter]) -> Iterator[None]:
    """Let gradients reach all weights inside."""
    trained = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(True)
        yield
    finally:
        for weight, before in zip(weights, trained, strict=True):
            weight.requires_grad_(before)


def sample_images(backbone: Backbone, number: int) -> Tensor:
    """Return random images (number, 3, S, S), always the same ones, where the network is."""
    size, weight = backbone.image_size, next(backbone.parameters())
    images = torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(0))
    return images.to(weight.device, weight.dtype)
