"""Fine-tuning of a dual encoder on the captions of a task's classes.

Legend: B images of a batch, C classes, D features, F features of the image tower, S image size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics import MeanMetric, SumMetric

from unseen.full_precision import EvalPrecision, full_precision
from unseen.scores import ACCURACY, metric_name
from unseen.training.step_seeds import seed_step
from unseen.wording import listing

Weights = dict[str, Tensor]
_DIVERGENCE_CHECK_STEPS = 10  # reading the loss every step would make the device wait for it
_STATE = "fine_tuning"  # of a checkpoint: what is known of the epochs
HELD_OUT = "held_out"


class Best(NamedTuple):
    """The best epoch so far: of equal ones the first."""

    accuracy: float
    epoch: int
    weights: Weights  # what training changes, on the CPU


class EncoderTuner(LightningModule):
    """Softmax cross-entropy of images against the captions of all classes, as published for every encoder.

    The captions are embedded anew in each step, so that gradients reach what is trained. After each epoch the accuracy
    on held-out images is taken; the weights of the best epoch are kept (arXiv 2407.15731: 10 % of the training images,
    5,000 at most), and with them the running statistics of batch norms. What is frozen stays in eval mode, so that it
    returns what it returned before training.

    Batches are inputs (B, ...), labels (B,), and numbers of images, which are not read. Checkpoints hold what training
    changes, and of the epochs what a resumed run has to know; what is frozen must be there already when one is loaded.

    Args:
        encoder: Its parameters that require gradients are trained.
        class_embeddings: Gives the embeddings of the classes (C, D) as the encoder stands; gradients pass.
        optimizer: Makes one of the trained parameters; the learning rate is constant, as published.
        embed: Gives the embeddings (B, D) of a batch's inputs; None: the encoder's `encode_images`. Where the image
            tower is frozen, inputs may be its features (B, F), and this be `embed_image_features`.
        penalty: Gives a scalar that is added to the loss of each step.
        replayed: Gives, for the number of a batch over all processes and its size, images of other tasks
            (n, 3, S, S), their labels (n,) and the texts of their task's classes (C, D): each image is told among the
            classes of its own task.
        seed: Makes dropout at step t a pure function of (seed, t), so that a resumed run draws what the uninterrupted
            one drew. Texts draw the same in every process.
        provenance: Plain dictionary of what made this encoder; it is stored in every checkpoint.
        eval_precision: Of the products on CUDA where nothing is trained: 32 or "tf32".

    Attributes:
        best: The best epoch so far.
        accuracies: On held-out images after each epoch.
    """

    def __init__(
        self,
        encoder: Any,
        class_embeddings: Callable[[], Tensor],
        optimizer: Callable[..., torch.optim.Optimizer],
        *,
        embed: Callable[[Tensor], Tensor] | None = None,
        penalty: Callable[[], Tensor] | None = None,
        replayed: Callable[[int, int], Iterable[tuple[Tensor, Tensor, Tensor]]] | None = None,
        seed: int = 0,
        provenance: Mapping[str, Any] | None = None,
        eval_precision: EvalPrecision = 32,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self._class_embeddings, self._optimizer = class_embeddings, optimizer
        self._embed = embed or encoder.encode_images
        self._penalty, self._replayed = penalty, replayed
        self._seed, self._provenance = seed, dict(provenance or {})
        self._eval_precision: EvalPrecision = eval_precision
        self._texts_now: Tensor | None = None  # in an evaluation
        self._losses = MeanMetric(nan_strategy="disable")  # of the steps since the last evaluation
        self._right, self._held_out = SumMetric(), SumMetric()  # images
        self._held_out_losses = MeanMetric()
        self.best: Best | None = None
        self.accuracies: list[float] = []
        self._epoch = -1  # after which the encoder is as it is
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of every part of which something is trained; the others are in eval mode."""
        super().train(mode)
        for module in self.encoder.modules():
            parameters = list(module.parameters())
            if parameters and not any(one.requires_grad for one in parameters):
                module.eval()
        return self

    # ------------------------------------------------------------------ training
    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch: the mean over all images, replayed ones included."""
        inputs, labels, _ = batch
        step, processes = self.global_step, self.trainer.world_size
        seed_step(self._seed, step)
        parts = [(inputs, labels, self._class_embeddings())]
        if self._replayed is not None:
            parts += self._replayed(step * processes + self.global_rank, len(labels))
        sizes = [len(of_part) for _, of_part, _ in parts]
        seed_step(self._seed, step, 1 + self.global_rank)
        embeddings = self._embed(torch.cat([of_part for of_part, _, _ in parts]))
        losses = [
            len(some) / sum(sizes) * F.cross_entropy(self.encoder.logits(some, texts), of_part)
            for some, (_, of_part, texts) in zip(embeddings.split(sizes), parts, strict=True)
        ]
        loss = torch.stack(losses).sum()
        if self._penalty is not None:
            loss = loss + self._penalty()
        if step % _DIVERGENCE_CHECK_STEPS == 0:
            _check_finite(loss.item(), f"at step {step}")
        self._losses.update(loss.detach(), sum(sizes))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer of what is trained."""
        return self._optimizer([one for one in self.encoder.parameters() if one.requires_grad])

    # ------------------------------------------------------------------ held-out images
    def on_validation_epoch_start(self) -> None:
        """Embed the classes as the encoder stands.

        Every process gets the first one's buffers before: each batch norm has seen other images.
        """
        if self.trainer.world_size > 1:
            for buffer in self.encoder.buffers():
                torch.distributed.broadcast(buffer, src=0)
        with full_precision(self.device, self._eval_precision):
            self._texts_now = self._class_embeddings()

    def validation_step(self, batch: Sequence[Tensor], batch_idx: int) -> None:
        """Count the right decisions, in float32."""
        inputs, labels, _ = batch
        assert self._texts_now is not None
        with full_precision(self.device, self._eval_precision):
            logits = self.encoder.logits(self._embed(inputs), self._texts_now).float()
        self._right.update((logits.argmax(dim=1) == labels).sum())
        self._held_out.update(len(labels))
        self._held_out_losses.update(F.cross_entropy(logits, labels, reduction="none"))

    def on_validation_epoch_end(self) -> None:
        """Keep the weights if they are the best, and log what the epoch has brought, over all processes."""
        self._texts_now = None
        loss, accuracy = (
            float(self._losses.compute()),
            float(self._right.compute()) / float(self._held_out.compute()),
        )
        _check_finite(loss, f"in epoch {self.current_epoch + 1}")
        self.accuracies.append(accuracy)
        self._epoch = len(self.accuracies) - 1
        if self.best is None or accuracy > self.best.accuracy:
            self.best = Best(accuracy, self._epoch, self._changing())
        self.log_dict(
            {
                metric_name("train", "loss"): loss,
                metric_name(HELD_OUT, "loss"): self._held_out_losses.compute(),
                metric_name(HELD_OUT, ACCURACY): accuracy,
            }
        )
        for metric in (self._right, self._held_out, self._held_out_losses, self._losses):
            metric.reset()

    def load_best(self) -> None:
        """Put the encoder back to the end of its best epoch."""
        assert self.best is not None
        self.encoder.load_state_dict(self.encoder.state_dict() | self.best.weights)
        self._epoch = self.best.epoch

    # ------------------------------------------------------------------ checkpoints
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what training changes, and what made the encoder; in `last.ckpt` the best weights, if others, too."""
        changed = {f"encoder.{name}" for name in self._names_of_changing()}
        checkpoint["state_dict"] = {
            name: value for name, value in checkpoint["state_dict"].items() if name in changed
        }
        checkpoint["unseen"] = self._provenance
        state: dict[str, Any] = {"epoch": self._epoch, "accuracies": list(self.accuracies)}
        if self.best is not None:
            others = self.best.epoch != self._epoch and "optimizer_states" in checkpoint
            state["best"] = {
                "accuracy": self.best.accuracy,
                "epoch": self.best.epoch,
                "weights": self.best.weights if others else None,
            }
        checkpoint[_STATE] = state

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over what is known of the epochs; the frozen weights are this encoder's own."""
        weights: Weights = checkpoint["state_dict"]
        if differing := weights.keys() ^ {f"encoder.{name}" for name in self._names_of_changing()}:
            raise ValueError(
                f"the checkpoint holds other weights than are trained here: {listing(sorted(differing), 4)}"
            )
        checkpoint["state_dict"] = self.state_dict() | weights
        state = checkpoint[_STATE]
        self._epoch, self.accuracies = state["epoch"], list(state["accuracies"])
        if best := state.get("best"):
            kept = best["weights"] or {
                name.removeprefix("encoder."): value.detach().to("cpu", copy=True)
                for name, value in weights.items()
            }
            self.best = Best(best["accuracy"], best["epoch"], kept)

    def _changing(self) -> Weights:
        """Return copies on the CPU of what training changes."""
        changed = self._names_of_changing()
        return {
            name: value.detach().to("cpu", copy=True)
            for name, value in self.encoder.state_dict().items()
            if name in changed
        }

    def _names_of_changing(self) -> set[str]:
        """Return the names of all but the frozen parameters: of the trained ones and the buffers."""
        frozen = {name for name, one in self.encoder.named_parameters() if not one.requires_grad}
        return set(self.encoder.state_dict()) - frozen


def _check_finite(loss: float, where: str) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the training loss is {loss} {where}; a lower learning rate may help: model.optimizer.lr"
        )
