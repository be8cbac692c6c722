"""Networks of torchvision by their names, described without importing it.

Shapes: S image size, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unseen.backbones.spec import NetworkSpec
from unseen.wording import one_line, suggestion

if TYPE_CHECKING:
    from torch import Tensor, nn

    from unseen.backbones.protocol import Channels

# The layers of families that the rule of `find_taps` does not know; in YAML other ones can be named.
_LAYERS = {
    "vit_": ("encoder.layers.*",),
    "densenet": ("features.pool0", "features.denseblock[1234]"),
    "regnet": ("stem", "trunk_output.*"),
    "maxvit": ("stem", "blocks.*"),
    "googlenet": ("maxpool[12]", "inception*"),
    "inception": ("maxpool1", "Mixed_*"),
    **dict.fromkeys(
        ("alexnet", "convnext", "efficientnet", "mobilenet", "squeezenet", "swin", "vgg"), ("features.*",)
    ),
}
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # where a network has no weights


@dataclass(frozen=True)
class TorchvisionSpec(NetworkSpec):
    """A classifier of `torchvision.models`.

    Attributes:
        architecture: A name of `torchvision.models.list_models()`, such as `resnet18` or `vit_b_16`.
        pretrained: Start from torchvision's default weights of it, trained on ImageNet.
        options: Passed on to the network. The image size is passed on by itself to those that take one.
        taps: Module paths with `*`; empty for those of its family, else the rule of `find_taps`.
    """

    architecture: str
    pretrained: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    taps: Sequence[str] = ()
    traced_on = "cpu"  # some draw their initial weights in ways that need memory

    __hash__ = NetworkSpec.__hash__

    def __post_init__(self) -> None:
        known = (layers for family, layers in _LAYERS.items() if self.architecture.startswith(family))
        object.__setattr__(self, "taps", tuple(self.taps) or next(known, ()))

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.architecture

    @property
    def mean(self) -> Channels:
        """Mean of each channel that the default weights were trained with."""
        return self._normalisation("mean", _IMAGENET_MEAN)

    @property
    def std(self) -> Channels:
        """Standard deviation of each channel that the default weights were trained with."""
        return self._normalisation("std", _IMAGENET_STD)

    def create(self, image_size: int, *, num_classes: int, **settings: Any) -> nn.Module:
        """The network for this image size, untrained."""
        from torchvision.models import get_model

        settings = {**self.options, **settings, "num_classes": num_classes}
        network: nn.Module
        if self.architecture.startswith("vit_"):
            settings["image_size"] = image_size
        if self.architecture in ("googlenet", "inception_v3"):
            settings = {"init_weights": True, "aux_logits": False} | settings
        network = get_model(self.architecture, weights=None, **settings)
        return network

    def _check_settings(self) -> None:
        from torchvision import models

        known = models.list_models(module=models)
        if self.architecture not in known:
            raise ValueError(
                f"model.name={self.architecture!r} is not a classifier of torchvision"
                f"{suggestion(self.architecture, known, most=3)}; there are {', '.join(known)}"
            )
        for option, instead in (
            ("num_classes", "data.num_labels"),
            ("image_size", "data.image_size"),
            ("weights", "model.pretrained"),
        ):
            if option in self.options:
                raise ValueError(f"model.backbone.options.{option} cannot be set there; use {instead}")
        if self.pretrained and self._weights() is None:
            raise ValueError(
                f"model.pretrained=true, but torchvision has no weights for {self.architecture!r}"
            )

    def _weights(self) -> Any:
        """The default weights, described; None: there are none."""
        from torchvision.models import get_model_weights

        return getattr(get_model_weights(self.architecture), "DEFAULT", None)

    def _normalisation(self, what: str, otherwise: Channels) -> Channels:
        self._check_settings()
        weights = self._weights()
        red, green, blue = getattr(weights.transforms(), what) if weights is not None else otherwise
        return float(red), float(green), float(blue)

    def _pretrained_weights(self, image_size: int) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """The default weights from torch's cache or the network, and the modules that give the logits."""
        from unseen.backbones.weights import WeightsUnavailable

        weights = self._weights()
        try:
            state = dict(weights.get_state_dict(progress=False, check_hash=True))
        except OSError as error:  # of the network and of files
            from torch.hub import get_dir

            raise WeightsUnavailable(
                f"the weights of torchvision's {self.architecture} are not in {get_dir()}/checkpoints and could not be "
                f"downloaded ({one_line(error)}): connect once, or point TORCH_HOME to a folder that holds them, "
                "take a file of weights with model.checkpoint=, or random ones with model.pretrained=false"
            ) from error
        mine = self.create(image_size, num_classes=len(weights.meta["categories"]))
        if self.architecture.startswith("vit_"):
            from torchvision.models.vision_transformer import interpolate_embeddings

            state = interpolate_embeddings(image_size, mine.patch_size, state)
        wanted, other = mine.state_dict(), self.create(image_size, num_classes=2).state_dict()
        head = {name.rpartition(".")[0] for name in wanted if other[name].shape != wanted[name].shape}
        kept = {
            name: tensor
            for name, tensor in state.items()
            if not name.startswith(("AuxLogits.", "aux1.", "aux2."))
        }
        return kept, tuple(sorted(head))
