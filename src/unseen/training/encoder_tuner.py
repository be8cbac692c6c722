"""Fine-tuning of a dual encoder on the captions of a task's classes.

Legend: B batch, C classes, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn

Weights = dict[str, Tensor]


class EncoderTuner(LightningModule):
    """Softmax cross-entropy of images against the captions of all classes, as published for every encoder.

    The captions are embedded anew in each step, so that gradients reach the text tower; where nothing that they pass is
    trained, once. After each epoch the accuracy on held-out images is taken; the weights of the best epoch are kept
    (arXiv 2407.15731: 10 % of the training images, 5,000 at most).

    Args:
        encoder: Its parameters that require gradients are trained.
        class_embeddings: Gives the embeddings of the classes (C, D) as the encoder stands.
        optimizer: Makes one of the trained parameters; the learning rate is constant, as published.
        held_out: Gives batches of held-out images and labels.
        penalty: Added to the loss, such as the distance from the initial weights; None: nothing.
    """

    def __init__(
        self,
        encoder: Any,
        class_embeddings: Callable[[], Tensor],
        optimizer: Callable[..., torch.optim.Optimizer],
        held_out: Callable[[], Iterator[tuple[Tensor, Tensor]]],
        penalty: Callable[[], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self._class_embeddings, self._optimizer = class_embeddings, optimizer
        self._held_out, self._penalty = held_out, penalty
        self.best: tuple[float, int, Weights] | None = None  # accuracy, epoch, trained weights
        self.accuracies: list[float] = []

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Return the loss of images (B, 3, S, S) and labels (B,)."""
        images, labels = batch
        logits = self.encoder.logits(self.encoder.encode_images(images), self._class_embeddings())
        loss = F.cross_entropy(logits, labels)
        self.log("transfer/loss", loss.detach())
        return loss if self._penalty is None else loss + self._penalty()

    def on_train_epoch_end(self) -> None:
        """Take the accuracy on held-out images and keep the best weights; of equal ones the first."""
        self.encoder.eval()
        with torch.no_grad():
            texts = self._class_embeddings()
            right = torch.cat(
                [
                    (self.encoder.logits(self.encoder.encode_images(images), texts).argmax(dim=1) == labels)
                    for images, labels in self._held_out()
                ]
            )
        self.encoder.train()
        accuracy = float(right.float().mean())
        self.accuracies.append(accuracy)
        self.log("transfer/held_out_accuracy", accuracy)
        if self.best is None or accuracy > self.best[0]:
            self.best = accuracy, self.current_epoch, trained_weights(self.encoder)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer of what is trained."""
        return self._optimizer([one for one in self.encoder.parameters() if one.requires_grad])


def trained_weights(module: nn.Module) -> Weights:
    """Return copies of the parameters that require gradients, on the CPU."""
    return {
        name: parameter.detach().cpu().clone()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
