"""The image tower of an encoder as it stands, run over images by Lightning's `Trainer.predict`.

Legend: B images of a batch, n images of this process, F features of the tower, S image size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from unseen.full_precision import EvalPrecision, full_precision


class ImageTower(LightningModule):
    """Collects features of the images that this process gets.

    Args:
        encoder: In eval mode.
        eval_precision: Of the products on CUDA: 32 or "tf32".
        advance: Called with the number of images of each batch.

    Attributes:
        rows: (n, F) float32 on the CPU, in pieces.
        numbers: (n,) of the images, in the same pieces.
    """

    def __init__(self, encoder: Any, eval_precision: EvalPrecision, advance: Callable[[int], None]) -> None:
        super().__init__()
        self.encoder = encoder
        self._eval_precision: EvalPrecision = eval_precision
        self._advance = advance
        self.rows: list[Tensor] = []
        self.numbers: list[Tensor] = []

    def predict_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Keep the features of images (B, 3, S, S); return the numbers of the images (B,)."""
        images, _, numbers = batch
        with full_precision(self.device, self._eval_precision), torch.no_grad():
            self.rows.append(self.encoder.image_features(images).float().cpu())
        self.numbers.append(numbers.cpu())
        self._advance(len(images))
        return numbers
