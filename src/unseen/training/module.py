"""The LightningModule that fine-tunes a backbone on the seen classes.

The defaults are those of arXiv 2402.14095 / 2405.01524: cross-entropy, AdamW, linear decay over the planned steps.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Self

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim import Optimizer
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from unseen.backbones.head import head_of
from unseen.backbones.protocol import Backbone
from unseen.backbones.tuning import frozen_norms
from unseen.full_precision import EvalPrecision, full_precision
from unseen.scores import ACCURACY, metric_name
from unseen.training.losses import EmbeddingLoss, TrustRegionLoss
from unseen.training.schedule import linear
from unseen.training.step_seeds import seed_step

_ADAMW = partial(torch.optim.AdamW, lr=2e-4, weight_decay=0.0)  # the papers'
_NOISE = 53  # a stream of random numbers of its own
_DIVERGENCE_CHECK_STEPS = 10  # reading the loss every step would make the device wait for it


class LabelledImages(NamedTuple):
    """The batch this module reads: (B, 3, S, S) images, (B,) labels, (B,) positions in the data set."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class SeenClassifier(LightningModule):
    """Fine-tuning of those weights of a backbone that have a gradient, with the accuracy on seen test images.

    Args:
        backbone: The network, head included; (B, 3, S, S) to (B, C) logits. The batch norms of its frozen parts keep
            their statistics.
        loss: Of logits (B, C) and labels (B,) in training; None: cross-entropy. The loss that is measured on test
            images is always cross-entropy.
        optimizer: Makes the optimiser of the parameters it is called with.
        scheduler: Makes the schedule of the optimiser it is called with, to be stepped after every optimiser step; gets
            `total_steps` if it takes it.
        schedule_epochs: `total_steps` are so many epochs, even if `max_steps` ends earlier (the papers plan 4 epochs,
            508 steps, and measure at 500); None: `max_steps`.
        seed: Makes dropout and drop path at step t a pure function of (seed, t), so that a resumed run draws
            what the uninterrupted one drew.
        provenance: Plain dictionary of what made this network; it is stored in every checkpoint.
        log_steps: Steps between two logged training losses.
        channels_last: Keep images and weights with the channels innermost (for convolutional networks).
        eval_precision: Of the products in an evaluation on CUDA: 32 or "tf32".
        score_accuracy: False where the data's seen classes are not the ones the head knows.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        loss: nn.Module | None = None,
        optimizer: Callable[..., Optimizer] = _ADAMW,
        scheduler: Callable[..., Any] = linear,
        schedule_epochs: float | None = None,
        seed: int = 0,
        provenance: dict[str, Any] | None = None,
        score_accuracy: bool = True,
        log_steps: int = 10,
        channels_last: bool = False,
        eval_precision: EvalPrecision = 32,
    ) -> None:
        super().__init__()
        self.save_hyperparameters("schedule_epochs", "seed", logger=False)
        # another order of the axes in memory; the numbers stay within rounding
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone = backbone.to(memory_format=self.memory_format)
        self.accuracy = MulticlassAccuracy(
            num_classes=backbone.num_classes, average="micro", validate_args=False
        )
        self.loss = MeanMetric()
        self.criterion = loss or nn.CrossEntropyLoss()
        if isinstance(self.criterion, EmbeddingLoss):
            self.criterion.attach(head_of(backbone))
        self._frozen_norms = frozen_norms(backbone)
        self.train()
        self._make_optimizer, self._make_scheduler = optimizer, scheduler
        self._provenance = provenance or {}
        self._score_accuracy = score_accuracy
        self._log_steps = log_steps
        self.eval_precision: EvalPrecision = eval_precision

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C) logits of (B, 3, S, S) images."""
        logits: Tensor = self.backbone(images.contiguous(memory_format=self.memory_format))
        return logits

    # ------------------------------------------------------------------ training
    def train(self, mode: bool = True) -> Self:
        """Set the mode of every part; statistics of frozen batch norms stay."""
        super().train(mode)
        for norm in self._frozen_norms:
            norm.eval()
        return self

    def on_train_batch_start(self, batch: LabelledImages, batch_idx: int) -> None:
        """Seed dropout and drop path for this step."""
        seed_step(self.hparams["seed"], self.global_step, self.global_rank)

    def training_step(self, batch: LabelledImages, batch_idx: int) -> Tensor:
        """Return the mean loss of the batch."""
        if getattr(self.trainer.optimizers[0], "perturbed", False):
            return self._perturbed_loss(batch)
        loss = self._loss(batch)
        if self.global_step % _DIVERGENCE_CHECK_STEPS == 0 and not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"the training loss is {loss.item()} at step {self.global_step}; "
                f"a lower model.optimizer.lr than {self.trainer.optimizers[0].defaults['lr']:g} may help"
            )
        if self.global_step % self._log_steps == 0:
            self.log("train/loss", loss)
            self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def _loss(self, batch: LabelledImages) -> Tensor:
        if not isinstance(self.criterion, TrustRegionLoss) or self.criterion.weight == 0:
            loss: Tensor = self.criterion(self(batch.images), batch.labels)
            return loss
        place = (self.hparams["seed"], self.global_step, self.global_rank)
        seed_step(*place)
        logits = self(batch.images)
        seed_step(*place, _NOISE)
        noisy = batch.images + self.criterion.noise * torch.randn_like(batch.images)
        seed_step(*place)  # the dropout of the first pass
        buffers = {name: buffer.clone() for name, buffer in self.backbone.named_buffers()}
        of_noisy = functional_call(self.backbone, buffers, noisy.contiguous(memory_format=self.memory_format))
        loss = self.criterion(logits, batch.labels)
        return loss + self.criterion.penalty(logits, of_noisy)

    def _perturbed_loss(self, batch: LabelledImages) -> Tensor:
        """Return the loss in the second pass of sharpness-aware minimisation, which is neither logged nor checked."""
        from unseen.training.sharpness import kept_statistics

        with kept_statistics(self.backbone):
            return self._loss(batch)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule, stepped after every optimiser step."""
        optimizer = self._make_optimizer([weight for weight in self.parameters() if weight.requires_grad])
        takes_steps = "total_steps" in inspect.signature(self._make_scheduler).parameters
        plan = {"total_steps": self._planned_steps()} if takes_steps else {}
        scheduler = self._make_scheduler(optimizer, **plan)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _planned_steps(self) -> int:
        steps = int(self.trainer.estimated_stepping_batches)
        epochs: float | None = self.hparams["schedule_epochs"]
        if epochs is None:
            return steps
        self.trainer.fit_loop.setup_data()  # else the number of batches is not known yet
        per_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        return max(steps, math.ceil(per_epoch * epochs))

    # ------------------------------------------------------------------ evaluation
    def on_validation_start(self) -> None:
        """Give every rank the first one's buffers.

        Each rank's batch norm has seen its own last batch; without this, an image's embedding would depend on the
        rank that computes it. DDP does the same before the next training step, so training does not change.
        """
        if self.trainer.world_size > 1:
            for buffer in self.backbone.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        """Count the right answers on seen test images, in float32 as the papers do."""
        with full_precision(self.device, self.eval_precision):
            logits = self(batch.images).float()
        if not self._score_accuracy:
            return
        self.accuracy.update(logits, batch.labels)
        self.loss.update(F.cross_entropy(logits, batch.labels, reduction="none"))

    def seen_accuracy(self) -> float | None:
        """Return the accuracy of the validation pass that just ran, 0..1; equal on every rank."""
        return float(self.accuracy.compute()) if self._score_accuracy else None

    def on_validation_epoch_end(self) -> None:
        """Log accuracy and loss of the seen test images; torchmetrics adds up the ranks' counts exactly."""
        if self._score_accuracy:
            self.log(metric_name("seen", ACCURACY), self.accuracy.compute(), prog_bar=True)
            self.log(metric_name("seen", "loss"), self.loss.compute())
        self.accuracy.reset()
        self.loss.reset()

    # ------------------------------------------------------------------ checkpoints
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what made this network, so that a checkpoint can be scored without its run folder."""
        checkpoint["unseen"] = self._provenance
