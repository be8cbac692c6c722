"""Weights in a file of one's own (.pth, .pt, .bin, .ckpt, .safetensors), put into a network strictly.

Shapes: C outputs of the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from unseen.wording import count, listing, one_line

_INSIDE = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "teacher",
    "net",
)  # where a file keeps its tensors
_SHOWN = 6


class Loaded(NamedTuple):
    """What was not put into the network.

    Attributes:
        outside: Tensors of the file that are of something else: their names lack the prefix of the network's.
        head: Tensors of the network's head that keep their initial values: the file has another number of outputs, or
            no head.
    """

    outside: tuple[str, ...]
    head: tuple[str, ...]

    def sentence(self, path: Path) -> str:
        """Return what the user should know."""
        parts = []
        if self.head:
            parts.append(
                f"the head starts anew ({listing(self.head, shown=_SHOWN)} not there, or of another size)"
            )
        if self.outside:
            parts.append(
                f"{count(len(self.outside), 'tensor')} of other parts left out ({listing(self.outside, shown=3)})"
            )
        return (
            f"weights of {path.name}: {'; '.join(parts) or 'every tensor is in its place, the head included'}"
        )


def load_file(network: nn.Module, path: Path, other: nn.Module) -> Loaded:
    """Put the weights of a file into a network; nothing is changed where they do not fit.

    Names may have a prefix, such as `model.` in a file of Lightning or `module.` of DDP. The head may be of another
    size or missing; every other tensor must be there, and of its shape.

    Args:
        network: The receiver, changed in place.
        path: The file.
        other: The same network with another number of outputs: the tensors that differ are the head.

    Raises:
        ValueError: The file cannot be read, holds no tensors, or does not fit; the tensors are named.
    """
    inside, outside = network_tensors(network, path)
    wanted = network.state_dict()
    shapes = {name: tensor.shape for name, tensor in other.state_dict().items()}
    head = {name for name, tensor in wanted.items() if shapes.get(name) != tensor.shape}
    wrong = [f"{name} is missing" for name in wanted.keys() - inside.keys() - head]
    wrong += [f"{name} is not in the network" for name in inside.keys() - wanted.keys()]
    wrong += [
        f"{name} has shape {tuple(inside[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in (inside.keys() & wanted.keys()) - head
        if inside[name].shape != wanted[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ValueError(
            f"model.checkpoint={path} does not fit {type(network).__name__} in {count(len(wrong), 'tensor')}: "
            f"{'; '.join(sorted(wrong)[:_SHOWN])}{more}"
        )
    anew = {name for name in head if name not in inside or inside[name].shape != wanted[name].shape}
    if anew:  # a bias of the right size beside weights of another would be of other classes
        anew = head
    network.load_state_dict({**wanted, **{name: inside[name] for name in wanted.keys() - anew}})
    return Loaded(outside, tuple(sorted(anew)))


def network_tensors(network: nn.Module, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of a file under the network's names, and the names of those that are of other parts.

    Raises:
        ValueError: The file cannot be read, or holds no tensors.
    """
    given = _tensors(path)
    prefix = _prefix(given, network.state_dict())
    inside = {name.removeprefix(prefix): tensor for name, tensor in given.items() if name.startswith(prefix)}
    return inside, tuple(sorted(name for name in given if not name.startswith(prefix)))


def _tensors(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a file; nothing in it is run."""
    content: Any = _read(path)
    while isinstance(content, dict) and (
        inner := next((key for key in _INSIDE if _holds_more(content, key)), None)
    ):
        content = content[inner]
    tensors = (
        {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, dict)
        else {}
    )
    if not tensors:
        raise ValueError(f"model.checkpoint={path} holds no named tensors, so it is no file of weights")
    return tensors


def _holds_more(content: Mapping[str, Any], key: str) -> bool:
    inner = content.get(key)
    return isinstance(inner, dict) and any(isinstance(value, Tensor | dict) for value in inner.values())


def _read(path: Path) -> Any:
    import pickle

    import torch

    if not path.is_file():
        raise ValueError(f"model.checkpoint={path} is not a file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file as load_safetensors

            return load_safetensors(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's text would advise to load it unsafely
        raise ValueError(
            f"model.checkpoint={path} is damaged, or holds more than tensors and plain values, which could be code: "
            "save its state_dict alone"
        ) from error
    except OSError as error:
        raise ValueError(f"model.checkpoint={path} cannot be read: {one_line(error)[:200]}") from error
    except Exception as error:  # broken bytes may cause any, and what these say of them is for no reader
        raise ValueError(
            f"model.checkpoint={path} is damaged, or no file that torch.save or safetensors wrote"
        ) from error


def _prefix(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Return what stands before most of the network's names in the file; the shortest where several do."""
    prefixes = {""} | {
        name.removesuffix(ours) for ours in list(wanted)[:20] for name in given if name.endswith(f".{ours}")
    }
    return max(
        sorted(prefixes, key=len), key=lambda prefix: sum(f"{prefix}{name}" in given for name in wanted)
    )
