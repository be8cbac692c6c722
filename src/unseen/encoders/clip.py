"""Encoders of the open_clip library: CLIP, SigLIP, CoCa, EVA-02 and whatever else it builds by name.

Legend in `unseen.encoders.encoder`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from unseen.encoders.encoder import Encoder
from unseen.wording import count, listing, one_line, suggestion

_SHOWN = 6
# Where towers keep their blocks: open_clip's own, timm's, and transformers' BERT and T5.
_BLOCKS = ("transformer.resblocks", "trunk.blocks", "transformer.encoder.layer", "transformer.encoder.block")


class OpenClip(Encoder):
    """A dual encoder by its name in open_clip, in evaluation mode.

    OpenAI's weights and some others were trained with QuickGELU, x · sigmoid(1.702 x), in place of GELU; it is switched
    on for the tags that open_clip marks so. A file does not say what it was trained with: name the architecture
    accordingly, such as `ViT-B-32-quickgelu`.

    Attributes:
        model: open_clip's own.
    """

    def __init__(self, architecture: str, pretrained: str | None = None) -> None:
        """Build it and load its weights.

        Args:
            architecture: A name of `open_clip.list_models()`.
            pretrained: A tag of `open_clip.list_pretrained()`, which is downloaded; or the path of a file of weights,
                all of which must fit; None: random weights, from torch's global generator.

        Raises:
            ValueError: One sentence: no such architecture, tag or file, or weights that do not fit.
            unseen.backbones.weights.WeightsUnavailable: open_clip is not installed, or what it needs from the hub is
                not here and cannot be fetched.
        """
        super().__init__()
        library = _library()
        names = library.list_models()
        if architecture not in names:
            raise ValueError(
                f"encoder.architecture={architecture!r} is not one of the {len(names)} of open_clip "
                f"{library.__version__}{suggestion(architecture, names, most=3)}"
            )
        tag, file = _weights(library, architecture, pretrained)
        config = library.get_model_config(architecture)
        quick = bool(tag.get("quick_gelu") or config.get("quick_gelu"))
        with _quiet(), _hub_of_text(config["text_cfg"]):
            self._tokenizer = library.get_tokenizer(architecture)
            self.model: Any = library.create_model(
                architecture,
                load_weights=False,
                force_quick_gelu=quick,
                force_preprocess_cfg=tag or _any_tag(library, architecture),
                pretrained_text=False,
            )
        _check_activations(self.model, quick)
        if file is not None:
            _load(library, self.model, file)
        source = "random weights" if pretrained is None else pretrained if tag else Path(pretrained).name
        self.name = f"{architecture} ({source})"
        preprocessing = self.model.visual.preprocess_cfg
        self.image_size = _side(preprocessing["size"], architecture)
        self.mean, self.std = tuple(preprocessing["mean"]), tuple(preprocessing["std"])
        self.eval()

    def encode_images(self, images: Tensor) -> Tensor:  # noqa: D102
        embeddings: Tensor = self.model.encode_image(images, normalize=False)  # (B, D); CoCa would normalise
        return embeddings

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings (C, D), not normalised; texts longer than the tower's context are cut at its end."""
        tokens = self._tokenizer(list(texts)).to(self.model.logit_scale.device)  # (C, context)
        embeddings: Tensor = self.model.encode_text(tokens, normalize=False)
        return embeddings

    @property
    def scale(self) -> Tensor:  # noqa: D102
        scale: Tensor = self.model.logit_scale.exp().squeeze()
        return scale

    @property
    def bias(self) -> Tensor | float:  # noqa: D102
        bias = self.model.logit_bias
        return 0.0 if bias is None else bias.squeeze()

    @property
    def blocks(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Transformer blocks of both towers, first to last; none of convolutional and hierarchical towers."""
        # CLIP keeps the parts of its text tower in itself, the others in `text`
        return _blocks(self.model.visual), _blocks(getattr(self.model, "text", self.model))


def _library() -> Any:
    from unseen.backbones.weights import WeightsUnavailable

    try:
        import open_clip
    except ImportError as error:
        raise WeightsUnavailable(
            "this encoder comes from open_clip, which is not installed: run `pip install 'unseen[clip]'`"
        ) from error
    return open_clip


def _weights(
    library: Any, architecture: str, pretrained: str | None
) -> tuple[Mapping[str, Any], str | Path | None]:
    """Return what open_clip says of the tag, empty where it is none, and the file of weights, downloaded by now."""
    from unseen.backbones.weights import hub_errors_in_one_sentence

    if pretrained is None:
        return {}, None
    tag: Mapping[str, Any] = library.get_pretrained_cfg(architecture, pretrained)
    if tag:
        with hub_errors_in_one_sentence(
            tag.get("hf_hub") or tag.get("url", pretrained),
            otherwise="name a file of weights with encoder.pretrained=/path/to/file, or use model=composed",
        ):
            return tag, library.download_pretrained(tag)
    if Path(pretrained).is_file():
        return {}, Path(pretrained)
    tags = library.list_pretrained_tags_by_model(architecture)
    raise ValueError(
        f"encoder.pretrained={pretrained!r} is neither a file nor one of the weights of {architecture}: "
        f"{listing(tags) or 'it has none'}{suggestion(pretrained, tags)}"
    )


def _any_tag(library: Any, architecture: str) -> Mapping[str, Any]:
    """Return how images are normalised for an architecture, whose tags agree in it."""
    tags = library.list_pretrained_tags_by_model(architecture)
    found: Mapping[str, Any] = library.get_pretrained_cfg(architecture, tags[0]) if tags else {}
    return found


def _hub_of_text(config: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Return the context in which a text tower may ask the hub for its tokenizer or its architecture."""
    from unseen.backbones.weights import hub_errors_in_one_sentence

    source = config.get("hf_tokenizer_name") or config.get("hf_model_name")
    if not source:
        return nullcontext()
    return hub_errors_in_one_sentence(
        source, "tokenizer", otherwise="use an encoder that brings its own, such as model=clip_vit_b32"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip from warning on the root logger that weights are not loaded yet."""
    root, before = logging.getLogger(), logging.root.manager.disable
    handler = logging.NullHandler()
    root.addHandler(handler)  # without any, its call would add one that prints
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(handler)


def _check_activations(model: nn.Module, quick: bool) -> None:
    from open_clip.transformer import QuickGELU

    found = any(isinstance(module, QuickGELU) for module in model.modules())
    assert found == quick, f"QuickGELU is {'on' if found else 'off'}, and must be {'on' if quick else 'off'}"


def _load(library: Any, model: nn.Module, file: str | Path) -> None:
    """Load weights, all of them and nothing else; open_clip adapts names and position tables."""
    try:
        unmatched = library.load_checkpoint(model, str(file), strict=False)
    except Exception as error:  # broken bytes may cause any
        raise ValueError(
            f"encoder.pretrained={file} does not fit, or is no file of weights: {one_line(error)[:300]}"
        ) from error
    if not unmatched:  # big_vision's format, whose reader takes each tensor by its name
        return
    wrong = [f"{name} is missing" for name in unmatched.missing_keys]
    wrong += [f"{name} is not in the model" for name in unmatched.unexpected_keys]
    if wrong:
        raise ValueError(
            f"encoder.pretrained={file} does not fit in {count(len(wrong), 'tensor')}: {listing(wrong, shown=_SHOWN)}"
        )


def _side(size: int | Sequence[int], architecture: str) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(
            f"encoder.architecture={architecture!r} takes images of {listing(size)} pixels, and only squares are known"  # type: ignore[arg-type]
        )
    return sides.pop()


def _blocks(tower: nn.Module) -> Sequence[nn.Module]:
    for path in _BLOCKS:
        found: Any = tower
        for name in path.split("."):
            found = getattr(found, name, None)
        if found is not None:
            return list(found)
    return []
