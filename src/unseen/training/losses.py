"""Training losses that torch does not have: focal, trust region, and losses on the embedding before the head.

Shapes: B batch, C classes, D features.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FocalLoss(nn.Module):
    """Mean of -(1 - p)^gamma log p, p the softmax probability of the right class (Lin et al., arXiv 1708.02002, eq. 4).

    Args:
        gamma: 0 is cross-entropy; the larger, the less an image counts that is classified well.

    Raises:
        ValueError: A negative gamma.
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"gamma={gamma} must be at least 0")
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of logits (B, C) and labels (B,)."""
        surprise = F.cross_entropy(logits, labels, reduction="none")  # (B,): -log p
        return ((1 - torch.exp(-surprise)) ** self.gamma * surprise).mean()


class TrustRegionLoss(nn.Module):
    """Cross-entropy plus a penalty on how far answers move where noise is added to the images: R3F.

    Aghajanyan et al., arXiv 2008.03156: loss(f(x), y) + weight (KL(p || q) + KL(q || p)), p = softmax f(x), q = softmax
    f(x + z), the mean over the images, with gradients through both. There z is added to the embeddings of words and is
    normal or uniform; here it is added to the normalised images, and normal: each value has the standard deviation
    `noise`. `SeenClassifier` makes the second pass, with the same dropout as the first, so that z alone tells the two
    apart; statistics of batch norms stay those of the first.

    Args:
        weight: At 0 there is no second pass, and the loss is cross-entropy.
        noise: In units of the normalised images.

    Raises:
        ValueError: A negative weight, or noise that is not above 0.
    """

    def __init__(self, weight: float = 1.0, noise: float = 0.1) -> None:
        super().__init__()
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight={weight} must be a number of at least 0")
        if not 0 < noise < math.inf:
            raise ValueError(f"noise={noise} must be a number above 0")
        self.weight, self.noise = weight, noise

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of logits (B, C) and labels (B,), without the penalty."""
        return F.cross_entropy(logits, labels)

    def penalty(self, logits: Tensor, noisy: Tensor) -> Tensor:
        """Return what is added to it: logits (B, C) of the images, and of the same images with noise."""
        first, second = (one.float().log_softmax(dim=1) for one in (logits, noisy))
        # KL(p || q) + KL(q || p) = sum (p - q) (log p - log q)
        divergence = ((first.exp() - second.exp()) * (first - second)).sum(dim=1)  # (B,)
        return self.weight * divergence.mean()


class EmbeddingLoss(nn.Module):
    """A loss on the embedding before the head, plus cross-entropy of the head on top of it.

    The head's gradient ends at the embedding: the network learns from `on_embedding` alone, the head from cross-entropy
    alone. The embedding is what the head gets; each process looks at the images of its own batch.

    Args:
        on_embedding: Loss of embeddings (B, D) and labels (B,), as those of pytorch-metric-learning. It may have no
            parameters of its own.

    Raises:
        ValueError: It has parameters.
    """

    def __init__(self, on_embedding: nn.Module) -> None:
        super().__init__()
        if on_embedding.state_dict():
            name = type(on_embedding).__name__
            raise ValueError(f"{name} has weights of its own, which no checkpoint of the network would keep")
        self.on_embedding = on_embedding
        self._embedding: Tensor | None = None

    def attach(self, head: nn.Module) -> None:
        """Listen to what the head gets in training, and cut its gradient there."""
        head.register_forward_pre_hook(self._listen)

    def _listen(self, _head: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not torch.is_grad_enabled():
            return None
        self._embedding = inputs[0]
        return (inputs[0].detach(), *inputs[1:])

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the sum of both losses of the logits (B, C) that the head made last, and labels (B,)."""
        assert self._embedding is not None, "attach() was not called"
        embedding, self._embedding = self._embedding.flatten(1), None  # (B, D)
        with torch.autocast(embedding.device.type, enabled=False):  # half precision would cut its products
            on_embedding = self._of_embedding(embedding.float(), labels)
        return on_embedding + F.cross_entropy(logits, labels)

    def _of_embedding(self, embedding: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.on_embedding(embedding, labels)
        return loss


class TwoViewLoss(EmbeddingLoss):
    """A self-supervised loss between two views of each image, plus cross-entropy of the head on top of them.

    The network learns from `on_embedding` alone, which gets no labels; these train the head.

    Args:
        on_embedding: Called with embeddings (B, D) of the first views and, as `ref_emb`, (B, D) of the second ones, as
            pytorch-metric-learning's SelfSupervisedLoss and VICRegLoss. It may have no parameters of its own.

    Raises:
        ValueError: It has parameters.
    """

    views = 2  # that `data.views` must make of an image

    def _of_embedding(self, embedding: Tensor, labels: Tensor) -> Tensor:
        first, second = embedding.chunk(2)
        loss: Tensor = self.on_embedding(first, ref_emb=second)
        return loss
