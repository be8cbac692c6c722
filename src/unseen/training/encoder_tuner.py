"""Fine-tuning of a dual encoder on the captions of a task's classes.

Legend: B batch, C classes, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor

Weights = dict[str, Tensor]


class EncoderTuner(LightningModule):
    """Softmax cross-entropy of images against the captions of all classes, as published for every encoder.

    The captions are embedded anew in each step, so that gradients reach the text tower; where nothing that they pass is
    trained, once. After each epoch the accuracy on held-out images is taken; the weights of the best epoch are kept
    (arXiv 2407.15731: 10 % of the training images, 5,000 at most), and with them the running statistics of batch norms.
    What is frozen stays in eval mode, so that it returns what it returned before training.

    Args:
        encoder: Its parameters that require gradients are trained.
        class_embeddings: Gives the embeddings of the classes (C, D) as the encoder stands.
        optimizer: Makes one of the trained parameters; the learning rate is constant, as published.
        held_out: Gives batches of held-out images and labels.
        embed: Gives the embeddings (B, D) of a batch's images; None: the encoder's `encode_images`. Where the image
            tower is frozen, batches may have its features (B, F), and this be `embed_features`.
        penalty: Gives a scalar that is added to the loss of each step.
        replayed: Gives, for a step and the size of its batch, images of other tasks (n, 3, S, S), their labels (n,) and
            the texts of their task's classes (C, D): each image is told among the classes of its own task.
    """

    def __init__(
        self,
        encoder: Any,
        class_embeddings: Callable[[], Tensor],
        optimizer: Callable[..., torch.optim.Optimizer],
        held_out: Callable[[], Iterator[tuple[Tensor, Tensor]]],
        *,
        embed: Callable[[Tensor], Tensor] | None = None,
        penalty: Callable[[], Tensor] | None = None,
        replayed: Callable[[int, int], Iterable[tuple[Tensor, Tensor, Tensor]]] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self._class_embeddings, self._optimizer, self._held_out = class_embeddings, optimizer, held_out
        self._embed = embed or encoder.encode_images
        self._penalty, self._replayed = penalty, replayed
        self._fixed_texts: Tensor | None = None  # where no training changes them
        self.best: tuple[float, int, Weights] | None = None  # accuracy, epoch, what training changes
        self.accuracies: list[float] = []
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of every part of which something is trained; the others are in eval mode."""
        super().train(mode)
        for module in self.encoder.modules():
            parameters = list(module.parameters())
            if parameters and not any(one.requires_grad for one in parameters):
                module.eval()
        return self

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Return the loss of images (B, 3, S, S) and labels (B,): the mean over all images, replayed ones included."""
        images, labels = batch
        parts = [(images, labels, self._texts())]
        if self._replayed is not None:
            parts += self._replayed(self.global_step, len(labels))
        sizes = [len(of_part) for _, of_part, _ in parts]
        embeddings = self._embed(torch.cat([of_part for of_part, _, _ in parts]))
        losses = [
            len(some) / sum(sizes) * F.cross_entropy(self.encoder.logits(some, texts), of_part)
            for some, (_, of_part, texts) in zip(embeddings.split(sizes), parts, strict=True)
        ]
        loss = torch.stack(losses).sum()
        if self._penalty is not None:
            loss = loss + self._penalty()
        if not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"the training loss is {loss.item()} at step {self.global_step}; a lower learning rate may help: "
                "model.optimizer.lr"
            )
        self.log("transfer/loss", loss.detach())
        return loss

    def on_train_epoch_end(self) -> None:
        """Take the accuracy on held-out images and keep the best weights; of equal ones the first."""
        self.eval()
        with torch.no_grad():
            texts = self._class_embeddings()
            right = torch.cat(
                [
                    (self.encoder.logits(self._embed(images), texts).argmax(dim=1) == labels)
                    for images, labels in self._held_out()
                ]
            )
        self.train()
        accuracy = float(right.float().mean())
        self.accuracies.append(accuracy)
        self.log("transfer/held_out_accuracy", accuracy)
        if self.best is None or accuracy > self.best[0]:
            self.best = accuracy, self.current_epoch, self._changing()

    def load_best(self) -> None:
        """Put the encoder back to the end of its best epoch."""
        assert self.best is not None
        self.encoder.load_state_dict(self.encoder.state_dict() | self.best[2])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer of what is trained."""
        return self._optimizer([one for one in self.encoder.parameters() if one.requires_grad])

    def _texts(self) -> Tensor:
        """Return the embeddings of the classes (C, D) for a step."""
        if self._fixed_texts is not None:
            return self._fixed_texts
        texts = self._class_embeddings()
        if not texts.requires_grad:
            self._fixed_texts = texts
        return texts

    def _changing(self) -> Weights:
        """Return copies on the CPU of all but the frozen parameters: the trained ones and the buffers."""
        frozen = {name for name, one in self.encoder.named_parameters() if not one.requires_grad}
        return {
            name: value.detach().to("cpu", copy=True)
            for name, value in self.encoder.state_dict().items()
            if name not in frozen
        }
