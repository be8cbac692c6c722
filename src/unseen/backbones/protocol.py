"""What every network offers (`Backbone`, `Tap`) and what describes one before it exists (`BackboneSpec`).

Shapes: B batch, S image size, C classes, D features, L layers.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor, nn

Layout = Literal["tokens", "nchw", "nhwc"]
Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Tap:
    """One layer that can be read.

    Attributes:
        layer: 0 is the shallowest.
        name: Module path inside `Backbone.network`, the name that the library's documentation uses.
        depth: 0 for the first layer to 1 for the last, comparable between networks.
        layout: What the module returns: tokens (B, tokens, D), nchw (B, D, H, W) or nhwc (B, H, W, D).
        prefix_tokens: Tokens in front of the image's patches (class token, registers); 0 where there are none.
        class_token: Whether the first of those prefix tokens is a class token. Only networks with registers
            and no class token say False.
    """

    layer: int
    name: str
    depth: float
    layout: Layout
    prefix_tokens: int = 0
    class_token: bool = True

    @property
    def has_class_token(self) -> bool:
        """Whether position 0 of the tokens summarises the image."""
        return self.layout == "tokens" and self.prefix_tokens > 0 and self.class_token


class Backbone(nn.Module):
    """A classifier whose layers have names: images (B, 3, S, S) in, logits (B, C) out.

    Attributes:
        network: The library's own module, as it would be without us.
        taps: The readable layers, shallow to deep.
        num_classes: C, the outputs of the head.
        image_size: S, the size that the network was built for.
        mean: Per-channel mean that the images must be normalised with.
        std: Per-channel standard deviation that the images must be normalised with.
    """

    def __init__(
        self,
        network: nn.Module,
        taps: tuple[Tap, ...],
        *,
        num_classes: int,
        image_size: int,
        mean: Channels,
        std: Channels,
    ) -> None:
        super().__init__()
        self.network = network
        self.taps = taps
        self.num_classes = num_classes
        self.image_size = image_size
        self.mean = mean
        self.std = std

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, C) of normalised images (B, 3, S, S)."""
        output = self.network(images)
        # timm returns the logits themselves, transformers an object that carries them.
        logits: Tensor = output if isinstance(output, Tensor) else output.logits
        return logits


class BackboneSpec(Protocol):
    """A network described but not yet built; making one costs nothing and imports no torch."""

    @property
    def mean(self) -> Channels:
        """Per-channel mean of the checkpoint's normalisation, for pixels in 0..1."""
        ...

    @property
    def std(self) -> Channels:
        """Per-channel standard deviation of the checkpoint's normalisation, for pixels in 0..1."""
        ...

    def check(self, image_size: int) -> None:
        """Finds what cannot work without loading a weight or touching the network.

        Args:
            image_size: S, pixels per side.

        Raises:
            ValueError: One sentence that names the value and what is allowed instead.
        """
        ...

    def build(self, num_classes: int, image_size: int) -> Backbone:
        """The network with a new head of C outputs, drawn from the global torch generator.

        Args:
            num_classes: C, outputs of the head.
            image_size: S, pixels per side.

        Raises:
            ValueError: As `check`.
            unseen.backbones.weights.WeightsUnavailable: The pretrained weights are not here and cannot be fetched.
        """
        ...


def prefers_channels_last(network: nn.Module) -> bool:
    """Return whether a network has convolutions whose windows overlap, which usually get their channels innermost.

    What it gains depends on the network and the machine.
    Patch embeddings (windows that tile the picture) and 1 x 1 convolutions do not count: a transformer has such, and
    gains nothing from reordering every batch.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and any(size > step for size, step in zip(layer.kernel_size, layer.stride, strict=True))
        for layer in network.modules()
    )
