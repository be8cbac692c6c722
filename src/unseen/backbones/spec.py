"""What the descriptions of networks share: checked without weights, then built with a new head.

Shapes: S image size, C classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from unseen.backbones.protocol import Backbone, Channels


class NetworkSpec(ABC):
    """A network described but not yet built; making one costs nothing and imports no torch.

    Sub-classes are frozen dataclasses.

    Attributes:
        shown: What messages call the network.
        pretrained: Whether to start from weights of the library.
        options: What the network is made with.
        taps: Module paths with `*`; empty for the rule of `unseen.backbones.discovery.find_taps`.
        prefix_tokens: Tokens before those of patches; None: what the network says, see `find_taps`.
        traced_on: Device on which the network is run once to find its layers; "meta" needs no memory.
    """

    pretrained: bool
    options: Mapping[str, Any]
    taps: Sequence[str]
    traced_on = "meta"

    def __hash__(self) -> int:
        return hash(repr(self))  # the fields themselves hold lists and dicts

    @property
    @abstractmethod
    def shown(self) -> str: ...  # noqa: D102 - see Attributes

    @property
    def prefix_tokens(self) -> int | None:  # noqa: D102
        return None

    @property
    @abstractmethod
    def mean(self) -> Channels:
        """Mean of each channel that the weights were trained with, for pixels in 0..1."""

    @property
    @abstractmethod
    def std(self) -> Channels:
        """Standard deviation of each channel that the weights were trained with, for pixels in 0..1."""

    @abstractmethod
    def create(self, image_size: int, *, num_classes: int) -> nn.Module:
        """The network for this image size, untrained."""

    @abstractmethod
    def _check_settings(self) -> None:
        """Raise a ValueError, one sentence, if the settings describe no network."""

    def _pretrained_weights(self, image_size: int) -> tuple[dict[str, Tensor], tuple[str, ...]] | None:
        """The checkpoint under the network's names, and the module paths of its head; None: it has none."""
        return None

    def check(self, image_size: int) -> None:
        """Build and run the network without its weights or network access.

        Raises:
            ValueError: One sentence: settings that describe no network, weights that do not exist, layers that cannot
                be read, or an image size that the network cannot take.
        """
        from unseen.backbones.discovery import survey

        self._check_settings()
        survey(self, image_size)

    def build(self, num_classes: int, image_size: int) -> Backbone:
        """The network with a new head of C outputs, initialised from the global torch generator.

        The generator moves as far with pretrained weights as without.

        Raises:
            ValueError: As `check`.
            unseen.backbones.weights.WeightsUnavailable: The weights are not here and cannot be fetched.
        """
        import torch

        from unseen.backbones.discovery import survey
        from unseen.backbones.protocol import Backbone
        from unseen.backbones.weights import transplant

        self._check_settings()
        taps = survey(self, image_size)
        pretrained = None
        if self.pretrained:
            with torch.random.fork_rng(devices=[]):
                pretrained = self._pretrained_weights(image_size)
        network = self.create(image_size, num_classes=num_classes)
        if pretrained is not None:
            transplant(pretrained[0], network, pretrained[1])
        return Backbone(
            network, taps, num_classes=num_classes, image_size=image_size, mean=self.mean, std=self.std
        )


def check_has_checkpoint(spec: NetworkSpec, has_checkpoint: bool) -> None:
    """Refuse pretrained weights for a network of options that nobody has trained.

    Raises:
        ValueError: One sentence.
    """
    if spec.pretrained and not has_checkpoint:
        raise ValueError(
            f"model.pretrained=true, but nobody has trained this small variant of {spec.shown!r}: "
            "use model.pretrained=false, or size=paper for the published weights"
        )
