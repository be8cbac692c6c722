"""Layers behind the towers of an encoder: CLIP-Adapter, and a linear probe.

Legend: B images of a batch, C classes, D features, F of a tower.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unseen.encoders.encoder import Encoder


class _Extended(Encoder):
    """An encoder with something added; what is not changed is the encoder's."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.name, self.image_size, self.composed = encoder.name, encoder.image_size, encoder.composed
        self.mean, self.std = encoder.mean, encoder.std

    def encode_images(self, images: Tensor) -> Tensor:
        return self.embed_image_features(self.image_features(images))

    def image_features(self, images: Tensor) -> Tensor:
        return self.encoder.image_features(images)

    def embed_image_features(self, features: Tensor) -> Tensor:
        return self.encoder.embed_image_features(features)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return self.embed_text_features(self.text_features(texts))

    def text_features(self, texts: Sequence[str]) -> Tensor:
        return self.encoder.text_features(texts)

    def embed_text_features(self, features: Tensor) -> Tensor:
        return self.encoder.embed_text_features(features)

    @property
    def scale(self) -> Tensor:
        return self.encoder.scale

    @property
    def bias(self) -> Tensor | float:
        return self.encoder.bias

    @property
    def blocks(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        return self.encoder.blocks


class AdaptedEncoder(_Extended):
    """CLIP-Adapter (Gao et al., arXiv 2110.04544) behind both towers: ratio a(e) + (1 - ratio) e of an embedding e.

    a(e) = ReLU(W_up ReLU(W_down e)), without biases. e is not normalised before, and the result is normalised by
    `logits`, as every embedding is.
    """

    def __init__(self, encoder: Encoder, *, reduction: int, ratio: float) -> None:
        super().__init__(encoder)
        features, made = features_of(encoder), next(encoder.parameters())
        if not 1 <= reduction <= features or features % reduction:
            raise ValueError(
                f"technique.reduction={reduction} must divide the {features} features of {encoder.name}"
            )
        if not 0 <= ratio <= 1:
            raise ValueError(f"technique.ratio={ratio} must lie between 0 and 1")
        self.ratio = ratio
        self.image_adapter, self.text_adapter = (
            nn.Sequential(
                nn.Linear(features, features // reduction, bias=False),
                nn.ReLU(),
                nn.Linear(features // reduction, features, bias=False),
                nn.ReLU(),
            ).to(made.device, made.dtype)
            for _ in range(2)
        )

    def embed_image_features(self, features: Tensor) -> Tensor:
        """Return adapted embeddings (B, D) of features (B, F) of the image tower."""
        return self._mixed(self.image_adapter, self.encoder.embed_image_features(features))

    def embed_text_features(self, features: Tensor) -> Tensor:
        """Return adapted embeddings (C, D) of features (C, F) of the text tower."""
        return self._mixed(self.text_adapter, self.encoder.embed_text_features(features))

    def _mixed(self, adapter: nn.Module, embeddings: Tensor) -> Tensor:
        mixed: Tensor = self.ratio * adapter(embeddings) + (1 - self.ratio) * embeddings
        return mixed


class ProbedEncoder(_Extended):
    """A linear layer with bias on image embeddings (not normalised) in place of the texts of one task."""

    def __init__(self, encoder: Encoder, *, classes: int) -> None:
        super().__init__(encoder)
        if classes < 2:
            raise ValueError(f"a linear probe needs at least 2 classes, and classes={classes}")
        made = next(encoder.parameters())
        self.classifier = nn.Linear(features_of(encoder), classes).to(made.device, made.dtype)

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """Return logits (B, C) of image embeddings (B, D); of texts (C, D) only the number is used.

        Raises:
            ValueError: The texts are not as many as the probe's classes: it knows no other task.
        """
        if len(texts) != self.classifier.out_features:
            raise ValueError(
                f"this linear probe has {self.classifier.out_features} classes and cannot tell {len(texts)}: it "
                "serves the task alone that it was trained on"
            )
        logits: Tensor = self.classifier(images)
        return logits


@torch.no_grad()
def features_of(encoder: Encoder) -> int:
    """Return D, as a text's embedding shows it."""
    trains = encoder.training
    encoder.eval()
    try:
        return encoder.encode_texts(["a"]).shape[1]
    finally:
        encoder.train(trains)
