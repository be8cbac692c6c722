"""What an image tower makes of a set of images, kept for all that leaves the tower as it is.

Legend: N images, B batch, F features of the tower, S image size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from unseen.encoders.encoder import Encoder

Batches = Iterable[tuple[Tensor, Tensor]]  # images (B, 3, S, S) and labels (B,)


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Output of an image tower, on the CPU.

    Attributes:
        rows: (N, F) float32.
        labels: (N,) int64.
    """

    rows: Tensor
    labels: Tensor

    def take(self, numbers: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return features (B, F) and labels (B,) of images (B,) by number, on a device."""
        return self.rows[numbers].to(device), self.labels[numbers].to(device)

    @classmethod
    @torch.no_grad()
    def of(cls, encoder: Encoder, batches: Batches, advance: Callable[[int], None] = lambda _: None) -> Self:
        """Compute them.

        Args:
            encoder: In eval mode.
            batches: N images in all.
            advance: Called with the number of images of each batch.
        """
        rows, labels = [], []
        for images, of_images in batches:
            rows.append(encoder.image_features(images).float().cpu())
            labels.append(of_images.cpu())
            advance(len(images))
        return cls(torch.cat(rows), torch.cat(labels))

    def batches(
        self, batch_size: int, device: torch.device, order: Sequence[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features (B, F) and labels (B,) on the device.

        Args:
            batch_size: B.
            device: Of the encoder.
            order: Indices of the images; None: all in order.
        """
        indices = torch.arange(len(self.labels)) if order is None else torch.as_tensor(order)
        for some in torch.split(indices, batch_size):
            yield self.take(some, device)


def trains_image_tower(encoder: Encoder, images: Tensor) -> bool:
    """Return whether `image_features` depends on anything that requires gradients.

    Args:
        encoder: In eval mode.
        images: Some (B, 3, S, S), on the encoder's device.
    """
    with torch.enable_grad():
        return encoder.image_features(images).requires_grad
