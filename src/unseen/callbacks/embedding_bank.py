"""Embeddings of one evaluation, layer by layer, kept with the positions of their images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class EmbeddingBank:
    """Collects (B, D_l) batches of every layer on one device, in float32, beside labels and positions on the CPU.

    Held: n x sum(D_l) x 4 bytes for the n images of this rank.

    Args:
        num_layers: L.
        device: Where the embeddings are kept.
    """

    def __init__(self, num_layers: int, device: torch.device | str = "cpu") -> None:
        self._device = device
        self._layers: list[list[Tensor]] = [[] for _ in range(num_layers)]
        self._labels: list[Tensor] = []
        self._indices: list[Tensor] = []

    def add(self, embeddings: Sequence[Tensor], labels: Tensor, indices: Tensor) -> None:
        """Add one batch: L tensors (B, D_l), labels (B,), positions (B,)."""
        for held, batch in zip(self._layers, embeddings, strict=True):
            held.append(batch.detach().to(self._device, torch.float32))
        self._labels.append(labels.cpu())
        self._indices.append(indices.cpu())

    @property
    def indices(self) -> Tensor:
        """(n,) positions in the order of arrival."""
        return torch.cat(self._indices) if self._indices else torch.empty(0, dtype=torch.long)

    @property
    def labels(self) -> Tensor:
        """(n,) labels in the order of arrival."""
        return torch.cat(self._labels) if self._labels else torch.empty(0, dtype=torch.long)

    def pop(self, layer: int) -> Tensor:
        """Return (n, D_l) of one layer and let go of it."""
        batches, self._layers[layer] = self._layers[layer], []
        return torch.cat(batches) if batches else torch.empty(0, 0)
