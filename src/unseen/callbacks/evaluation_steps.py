"""After which optimiser steps a run is evaluated, and the step that loggers get with it."""

from __future__ import annotations

import math
import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

_NEVER = sys.maxsize  # batches; infinity would mean a data set of unknown length to Lightning


class EvaluationSteps(Callback):
    """Evaluates every so many optimiser steps and after the last one, always on whole steps.

    Lightning counts batches, which are not steps where gradients are accumulated, and it does not evaluate the last
    step unless it falls on the interval. Needs a trainer with `val_check_interval=1, check_val_every_n_epoch=None`,
    which then asks for an evaluation after each batch; this callback takes the question away from all but the right
    ones. In the middle of an accumulation window nothing is evaluated, so no checkpoint is written there, which would
    lack the gradients collected so far.

    Args:
        every: A whole number counts optimiser steps, over the ends of epochs; a float in (0, 1] is a share of an epoch.
    """

    def __init__(self, every: int | float) -> None:
        self._every = every
        self._evaluated = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A checkpoint is written after an evaluation, so the step that a run starts from has been evaluated."""
        self._evaluated = trainer.global_step

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Evaluate nothing until a step is due.

        Not before: at the first batch of a resumed run Lightning asks whether its checkpoint was written in an
        evaluation, as ours are.
        """
        trainer.val_check_batch = _NEVER

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Let Lightning evaluate if a step was made that is due."""
        step = trainer.global_step
        if step == self._evaluated:
            return
        steps_per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        last = int(trainer.estimated_stepping_batches)
        if is_due(step, self._every, steps_per_epoch=steps_per_epoch, last=last):
            self._evaluated = step
            trainer.val_check_batch = 1


def is_due(step: int, every: int | float, *, steps_per_epoch: int, last: int) -> bool:
    """Return whether a run is evaluated after `step` (1-based) optimiser steps.

    >>> [step for step in range(1, 8) if is_due(step, 3, steps_per_epoch=5, last=7)]
    [3, 6, 7]
    >>> [step for step in range(1, 12) if is_due(step, 0.5, steps_per_epoch=5, last=11)]  # int(0.5 * 5) steps
    [2, 4, 7, 9, 11]
    >>> [step for step in range(1, 12) if is_due(step, 1.0, steps_per_epoch=5, last=11)]
    [5, 10, 11]
    """
    if step >= last:
        return True
    if isinstance(every, int):
        return step % every == 0
    in_epoch = (step - 1) % steps_per_epoch + 1
    return in_epoch % max(1, int(steps_per_epoch * every)) == 0


class StepAxis(Callback):
    """Names the step of every evaluation; Lightning alone names the last batch, one less, or 0 without training.

    Args:
        at: Step and epoch where the trainer does not know them (a checkpoint that is scored without training).
    """

    def __init__(self, at: tuple[int, int] | None = None) -> None:
        self._at = at

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log `step`, which Lightning takes for the step of all that is logged with it, and the epoch it then omits."""
        step, epoch = self._at or (trainer.global_step, trainer.current_epoch)
        pl_module.log_dict({"step": float(step), "epoch": float(epoch)}, batch_size=1)
