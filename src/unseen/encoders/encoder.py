"""What every dual encoder offers, whatever library it is from.

Legend: B images of a batch, C texts (one a class), D features, F of a tower, S image size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

Channels = tuple[float, float, float]


class Encoder(nn.Module, ABC):
    """An image tower and a text tower with one space of embeddings.

    Attributes:
        name: Such as `ViT-B-32 (openai)`.
        image_size: S.
        mean: Of each channel that images must be normalised with, on the scale 0..1.
        std: Standard deviation of each channel.
        composed: Whether its towers were trained apart and joined afterwards, for machines without a hub: such an
            encoder is a demonstration and no CLIP, which every table says.
    """

    name: str
    image_size: int
    mean: Channels
    std: Channels
    composed: bool = False

    @abstractmethod
    def encode_images(self, images: Tensor) -> Tensor:
        """Return embeddings (B, D), not normalised, of normalised images (B, 3, S, S); gradients pass."""

    def image_features(self, images: Tensor) -> Tensor:
        """Return what `encode_images` makes of images before the layers that a technique adds, (B, F)."""
        return self.encode_images(images)

    def embed_image_features(self, features: Tensor) -> Tensor:
        """Return the embeddings (B, D) of `image_features` (B, F), as `encode_images` does of images."""
        return features

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings (C, D), not normalised, of texts; gradients pass."""

    def label_embeddings(self, names: Sequence[str]) -> tuple[Tensor, ...]:
        """Return several vectors (C, E) of C bare class names, for EMMS; empty: the encoder has none of its own."""
        return ()

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Return what `encode_texts` makes of texts before the layers that a technique adds, (C, F)."""
        return self.encode_texts(texts)

    def embed_text_features(self, features: Tensor) -> Tensor:
        """Return the embeddings (C, D) of `text_features` (C, F), as `encode_texts` does of texts."""
        return features

    @property
    @abstractmethod
    def scale(self) -> Tensor:
        """Factor of the cosine in the logits, a scalar."""

    @property
    def bias(self) -> Tensor | float:
        """Added to the logits, as SigLIP does."""
        return 0.0

    @property
    @abstractmethod
    def blocks(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Transformer blocks of the image tower and of the text tower, first to last; empty: it has none."""

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """Return logits (B, C) of embeddings (B, D) and (C, D), neither of which need be normalised."""
        return self.scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T + self.bias
