"""What an encoder makes of a task without training: embeddings of images and captions, and decisions among classes.

Legend: N images, B batch, C classes, D features, P captions of a class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.encoders.encoder import Encoder

Batches = Iterable[tuple[Tensor, Tensor]]  # images (B, 3, S, S) and labels (B,)


def class_embeddings(encoder: Encoder, captions: Sequence[Sequence[str]]) -> Tensor:
    """Return an embedding of each class, (C, D); gradients pass.

    Of several captions it is the mean of their unit vectors (a prompt ensemble, Radford et al., arXiv 2103.00020,
    section 3.1.4); of one, its embedding as it is.

    Args:
        encoder: The text tower.
        captions: P captions of each of C classes, as many of each.
    """
    each = len(captions[0])
    rows = encoder.encode_texts([caption for of_class in captions for caption in of_class])  # (C * P, D)
    if each == 1:
        return rows
    return F.normalize(rows, dim=1).reshape(len(captions), each, -1).mean(dim=1)


@torch.no_grad()
def image_embeddings(
    encoder: Encoder, batches: Batches, advance: Callable[[int], None] = lambda _: None
) -> tuple[Tensor, Tensor]:
    """Return embeddings (N, D) float32 and labels (N,), both on the CPU.

    Args:
        encoder: The image tower, in eval mode.
        batches: N images in all.
        advance: Called with the number of images of each batch.
    """
    rows, labels = [], []
    for images, of_images in batches:
        rows.append(encoder.encode_images(images).float().cpu())
        labels.append(of_images.cpu())
        advance(len(images))
    return torch.cat(rows), torch.cat(labels)


@torch.no_grad()
def right_decisions(
    encoder: Encoder, batches: Batches, texts: Tensor, advance: Callable[[int], None] = lambda _: None
) -> Tensor:
    """Return whether each image is nearest to the caption of its class, (N,) bool on the CPU.

    Args:
        encoder: In eval mode.
        batches: N images in all.
        texts: (C, D) of `class_embeddings`.
        advance: Called with the number of images of each batch.
    """
    found = []
    for images, labels in batches:
        decisions = encoder.logits(encoder.encode_images(images), texts).argmax(dim=1)
        found.append((decisions == labels).cpu())
        advance(len(images))
    return torch.cat(found)
