"""What an encoder makes of a task without training: embeddings of images and captions, and decisions among classes.

Legend: N images, C classes, D features, P captions of a class.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.encoders.encoder import Encoder
from unseen.encoders.image_features import ImageFeatures

_AT_ONCE = 4096  # images
_CAPTIONS_AT_ONCE = 1024


def class_embeddings(
    encoder: Encoder, captions: Sequence[Sequence[str]], features: Tensor | None = None
) -> Tensor:
    """Return an embedding of each class, (C, D); gradients pass.

    Of several captions it is the mean of their unit vectors (a prompt ensemble, Radford et al., arXiv 2103.00020,
    section 3.1.4); of one, its embedding as it is.

    Args:
        encoder: The text tower.
        captions: P captions of each of C classes, as many of each.
        features: Of `kept_text_features`, where they are known.
    """
    each = len(captions[0])
    if features is None:
        features = encoder.text_features(_all_of(captions))
    rows = encoder.embed_text_features(features)  # (C * P, D)
    if each == 1:
        return rows
    return F.normalize(rows, dim=1).reshape(len(captions), each, -1).mean(dim=1)


def kept_text_features(encoder: Encoder, captions: Sequence[Sequence[str]]) -> Tensor | None:
    """Return features of the captions (C * P, F); None where they depend on anything that requires gradients.

    Args:
        encoder: In eval mode.
        captions: P captions of each of C classes.
    """
    with torch.enable_grad():
        features = encoder.text_features(_all_of(captions))
    return None if features.requires_grad else features


def _all_of(captions: Sequence[Sequence[str]]) -> list[str]:
    return [caption for of_class in captions for caption in of_class]


@torch.no_grad()
def image_embeddings(encoder: Encoder, features: ImageFeatures, device: torch.device) -> Tensor:
    """Return embeddings (N, D) float32 on the CPU.

    Args:
        encoder: In eval mode.
        features: Of N images, of this encoder's tower.
        device: Of the encoder.
    """
    rows = [
        encoder.embed_image_features(some.to(device)).float().cpu()
        for some in torch.split(features.rows, _AT_ONCE)
    ]
    return torch.cat(rows)


@torch.no_grad()
def right_decisions(encoder: Encoder, features: ImageFeatures, texts: Tensor) -> Tensor:
    """Return whether each image is nearest to the caption of its class, (N,) bool on the CPU.

    Args:
        encoder: In eval mode.
        features: Of N images, of this encoder's tower.
        texts: (C, D) of `class_embeddings`, on the encoder's device.
    """
    found = []
    for rows, labels in features.batches(_AT_ONCE, texts.device):
        decisions = encoder.logits(encoder.embed_image_features(rows), texts).argmax(dim=1)
        found.append((decisions == labels).cpu())
    return torch.cat(found)
