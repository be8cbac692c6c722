"""The two networks that timm does not have, PVT v1 and CvT, from transformers, described without importing it.

Shapes: S image size, C classes, B batch, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from unseen.backbones.spec import NetworkSpec, check_has_checkpoint
from unseen.wording import suggestion

if TYPE_CHECKING:
    from torch import Tensor, nn

    from unseen.backbones.protocol import Channels

_CLASSES = {
    "pvt": ("PvtConfig", "PvtForImageClassification"),
    "cvt": ("CvtConfig", "CvtForImageClassification"),
}
_HEAD = ("classifier",)
_CHECKPOINT_CLASSES = 1000  # ImageNet-1k, both checkpoints


@dataclass(frozen=True)
class TransformersSpec(NetworkSpec):
    """A transformers architecture with every setting written out, so that untrained networks need no download.

    Attributes:
        architecture: `pvt` or `cvt`.
        checkpoint: Repository on the Hugging Face hub.
        taps: Module paths with `*`.
        name: What messages call it; the architecture where empty.
        pretrained: Start from the weights of `checkpoint`.
        has_checkpoint: False where the options make a network that nobody has trained.
        checkpoint_image_size: The size that the checkpoint's position tables were made for.
        options: Settings of the architecture's configuration class (`depths`, `hidden_sizes`, ...).
        mean: Per-channel mean that the weights were trained with.
        std: Per-channel standard deviation that the weights were trained with.
    """

    architecture: str
    checkpoint: str
    taps: Sequence[str]
    name: str = ""
    pretrained: bool = False
    has_checkpoint: bool = True
    checkpoint_image_size: int = 224
    options: Mapping[str, Any] = field(default_factory=dict)
    mean: Channels = (0.485, 0.456, 0.406)
    std: Channels = (0.229, 0.224, 0.225)

    __hash__ = NetworkSpec.__hash__

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.name or self.architecture

    @property
    def prefix_tokens(self) -> int:
        """Tokens before those of patches: PVT's class token, which is there in the last stage only.

        CvT keeps its own outside the stage's map.
        """
        return 1 if self.architecture == "pvt" else 0

    def _check_settings(self) -> None:
        if self.architecture not in _CLASSES:
            raise ValueError(
                f"model.backbone.architecture={self.architecture!r} is not one of {', '.join(_CLASSES)}"
            )
        check_has_checkpoint(self, self.has_checkpoint)
        # The configuration class takes any keyword without a word, so that a misspelt one would be lost.
        known = {setting.name for setting in fields(self._library()[0])}
        for option in self.options:
            if option not in known or option in ("image_size", "num_labels"):
                raise ValueError(
                    f"model.backbone.options: {option!r} is not a setting of {self.architecture}"
                    f"{suggestion(option, known, most=3)}"
                )

    def _library(self) -> tuple[Any, Any]:
        """The configuration class and the network class."""
        from importlib import import_module

        module = import_module(f"transformers.models.{self.architecture}")
        configuration, network = _CLASSES[self.architecture]
        return getattr(module, configuration), getattr(module, network)

    def _configuration(self, image_size: int, num_classes: int) -> Any:
        configuration, _ = self._library()
        sized = {"image_size": image_size} if self.architecture == "pvt" else {}
        return configuration(num_labels=num_classes, **sized, **self.options)

    def create(self, image_size: int, *, num_classes: int) -> nn.Module:
        """The network for this image size, untrained."""
        network: nn.Module = self._library()[1](self._configuration(image_size, num_classes))
        return network

    def _pretrained_weights(self, image_size: int) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        from unseen.backbones.weights import hub_errors_in_one_sentence

        with hub_errors_in_one_sentence(self.checkpoint):
            donor, report = self._library()[1].from_pretrained(
                self.checkpoint,
                config=self._configuration(self.checkpoint_image_size, _CHECKPOINT_CLASSES),
                output_loading_info=True,
            )
        wrong = {kind: sorted(map(str, names)) for kind, names in report.items() if names}
        if wrong:
            raise RuntimeError(
                f"the checkpoint {self.checkpoint!r} does not fit {self.architecture}: {wrong}"
            )
        target = self.create(image_size, num_classes=_CHECKPOINT_CLASSES).state_dict()
        return _resized_positions(donor.state_dict(), target), _HEAD


def _resized_positions(weights: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with each position table (1, [class token +] h * w, D) resized to the target's grid."""
    from torch.nn.functional import interpolate

    resized = dict(weights)
    for name, table in weights.items():
        wanted = target[name].shape if name in target else table.shape
        if not name.endswith("position_embeddings") or table.shape == wanted:
            continue
        side, new_side = int(table.shape[1] ** 0.5), int(wanted[1] ** 0.5)
        tokens = table.shape[1] - side**2  # 1 where the table starts with the class token
        grid = table[:, tokens:].reshape(1, side, side, -1).permute(0, 3, 1, 2)  # (1, D, h, w)
        grid = interpolate(grid, size=(new_side, new_side), mode="bilinear", align_corners=False)
        flat = grid.flatten(2).transpose(1, 2)  # (1, h * w, D)
        resized[name] = table.new_empty(wanted)
        resized[name][:, :tokens], resized[name][:, tokens:] = table[:, :tokens], flat
    return resized
