"""Any `nn.Module` as a backbone, described without importing it.

Shapes: S image size, C classes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unseen.backbones.spec import NetworkSpec

if TYPE_CHECKING:
    from torch import nn

    from unseen.backbones.protocol import Channels


@dataclass(frozen=True)
class ModuleSpec(NetworkSpec):
    """A network of one's own.

    Attributes:
        network: Makes the module; called with `num_classes=C`, with `image_size=S` if it has such a parameter, and with
            the options. In YAML: `{_target_: package.Class, _partial_: true}`. The module takes normalised images
            (B, 3, S, S) and returns logits (B, C), or an object with `.logits`.
        taps: Module paths with `*`, shallow to deep as they run; empty for the rule of
            `unseen.backbones.discovery.find_taps`. A layer returns (B, tokens, D), (B, D, H, W) or (B, H, W, D).
        name: What messages call it; the class's name where empty.
        options: Keyword arguments of `network`.
        prefix: Tokens before those of patches, where layers return tokens; None: one if a parameter of the network
            is called a class token, else none.
        mean: Per-channel mean that the images are normalised with, for pixels in 0..1.
        std: Per-channel standard deviation that the images are normalised with.
        pretrained: Must be False; a module loads weights of its own where it is made.
    """

    network: Callable[..., nn.Module]
    taps: Sequence[str] = ()
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    prefix: int | None = None
    mean: Channels = (0.5, 0.5, 0.5)
    std: Channels = (0.5, 0.5, 0.5)
    pretrained: bool = False
    traced_on = "cpu"  # code of one's own need not run without memory

    __hash__ = NetworkSpec.__hash__

    @property
    def shown(self) -> str:
        """What messages call it."""
        made = getattr(self.network, "func", self.network)
        return self.name or getattr(made, "__name__", str(made))

    @property
    def prefix_tokens(self) -> int | None:
        """Tokens before those of patches."""
        return self.prefix

    def create(self, image_size: int, *, num_classes: int) -> nn.Module:
        """The module for this image size and number of classes."""
        sized = {"image_size": image_size} if "image_size" in self._parameters() else {}
        return self.network(num_classes=num_classes, **sized, **self.options)

    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.network).parameters

    def _check_settings(self) -> None:
        if not callable(self.network):
            raise ValueError(
                "model.backbone.network is not a class or function; write {_target_: package.Class, _partial_: true}"
            )
        if self.pretrained:
            raise ValueError(
                f"model.pretrained=true, but {self.shown!r} is a module of your own: load its weights where it is "
                "made, and leave model.pretrained=false"
            )
        parameters = self._parameters()
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        for option in ("num_classes", *self.options):
            if option not in parameters and not takes_any:
                raise ValueError(
                    f"{self.shown!r} takes no argument {option!r}; it takes {', '.join(parameters) or 'none'}"
                    + (" and must take the number of classes" if option == "num_classes" else "")
                )
