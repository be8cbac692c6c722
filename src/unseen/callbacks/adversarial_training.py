"""Adversarial training (arXiv 1706.06083): each training image is first moved against the network."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.random import SeedSequence
from torch import Tensor

from unseen.biases.attack import attack, check_attack, random_start

_ADVERSARIAL = 52  # a stream of random numbers of its own


class AdversarialTraining(Callback):
    """Replaces the images of each training batch by those that PGD in the maximum norm makes of them.

    The network attacks itself in eval mode, so that its batch norms keep the statistics of what it is trained on. What
    an image becomes depends on the weights and, for its random start, on seed, epoch and index: a resumed run goes on
    as the uninterrupted one. A step takes `steps` further passes, forward and backward.

    Args:
        epsilon: Largest change of a pixel, in 1/255 of the range.
        step: Size of a step, in 1/255 of the range.
        steps: Number of steps.

    Raises:
        ValueError: See `check_attack`.
    """

    def __init__(self, epsilon: float, step: float, steps: int) -> None:
        check_attack(epsilon, step, steps)
        self.epsilon, self.step, self.steps = epsilon / 255, step / 255, steps

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Move the images of the batch in place, (B, 3, S, S), as the network gets them: normalised."""
        backbone: Any = pl_module.backbone
        shift, scale = (
            torch.tensor(values, device=batch.images.device).view(1, 3, 1, 1)
            for values in (backbone.mean, backbone.std)
        )

        def classifier(images: Tensor) -> Tensor:
            logits: Tensor = pl_module((images - shift) / scale)
            return logits

        images = (batch.images * scale + shift).clamp(0, 1)  # as they were, but for rounding
        words = SeedSequence((pl_module.hparams["seed"], _ADVERSARIAL, trainer.current_epoch)).generate_state(
            1, "uint32"
        )
        start = random_start(images, batch.indices.cpu(), epsilon=self.epsilon, seed=int(words[0]))
        pl_module.eval()
        moved = attack(
            classifier,
            images,
            batch.labels,
            start,
            epsilon=self.epsilon,
            step=self.step,
            steps=self.steps,
        )
        pl_module.train()
        batch.images.copy_((moved - shift) / scale)
