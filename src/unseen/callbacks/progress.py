"""A progress bar that names the phase: training, evaluating, probing layer 3/13."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from unseen.scores import ACCURACY, metric_name
from unseen.wording import about_left

_SHOWN = (
    ("seen loss", metric_name("seen", "loss")),
    ("seen accuracy", metric_name("seen", ACCURACY)),
    ("g", metric_name("unseen", "g")),
)


class TimeLeft(ProgressColumn):
    """What is left at the mean speed since the task began: training's includes the evaluations on the way."""

    def render(self, task: Task) -> Text:
        """Return it as 0:01:20 left; nothing while it is not known."""
        done = task.completed - task.fields.get("first", 0)
        if task.total is None or task.elapsed is None or done <= 0:
            return Text("")
        seconds = task.elapsed / done * (task.total - task.completed)
        return Text(f"{timedelta(seconds=round(seconds))} left")


class PhaseProgress(ProgressBar):
    """Shows one bar for training and one for what the evaluation is doing; in a log file, a line an evaluation.

    The first one after steps of training says there about how long the rest takes; a terminal has the bar for it.

    Args:
        console: Where.
        at: Step and epoch of a checkpoint that is scored without training.
        images: Which images the trainer evaluates.
        shown: Label and name of the metrics that the line of an evaluation has, if they are there.
    """

    def __init__(
        self,
        console: Console,
        at: tuple[int, int] | None = None,
        *,
        images: str = "seen images",
        shown: Sequence[tuple[str, str]] = _SHOWN,
    ) -> None:
        super().__init__()
        self._console = console
        self._at = at
        self._images, self._shown = images, shown
        self._bars: Progress | None = None
        self._training: Any = None
        self._phase: Any = None
        self._kind = ""
        self._is_enabled = True
        self._began: tuple[float, int] | None = None  # when training began, and at which step

    def disable(self) -> None:
        """Say nothing (Lightning calls this on every rank but the first)."""
        self._is_enabled = False

    def enable(self) -> None:
        """Speak again."""
        self._is_enabled = True

    def phase(self, phrase: str, done: int, total: int) -> None:
        """Name what is going on; `done` of `total` steps of it are behind us."""
        if self._bars is None and self._is_enabled and self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeLeft(),
                console=self._console,
                transient=True,
            )
            self._bars.start()
        if self._bars is not None:
            kind = re.sub(r"\d+", "", phrase)  # layer 3/13 and layer 4/13 are one phase
            if self._phase is None:
                self._phase = self._bars.add_task(phrase, total=total)
            elif kind != self._kind:
                self._bars.reset(self._phase)
            self._kind = kind
            self._bars.update(self._phase, description=phrase, completed=done, total=total, visible=True)

    def _hide_phase(self) -> None:
        if self._bars is not None and self._phase is not None:
            self._bars.update(self._phase, visible=False)
            self._kind = ""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the training bar at the step the run stands at."""
        self._began = time.monotonic(), trainer.global_step
        self.phase("starting", 0, 1)
        self._hide_phase()
        if self._bars is not None:
            total = int(trainer.estimated_stepping_batches)
            self._training = self._bars.add_task(
                "training", total=total, completed=trainer.global_step, first=trainer.global_step
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the training bar."""
        if self._bars is not None and self._training is not None:
            self._bars.update(self._training, completed=trainer.global_step)

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Name the pass over the images."""
        total = trainer.num_val_batches[0] if trainer.num_val_batches else 0
        self.phase(f"evaluating {self._images}", batch_idx, int(total))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave one line that stays."""
        self._hide_phase()
        if not self._is_enabled:
            return
        metrics = trainer.callback_metrics
        parts = [f"step {self._at[0]}" if self._at else f"step {trainer.global_step}/{_planned(trainer)}"]
        for label, name in self._shown:
            if name in metrics:
                parts.append(f"{label} {float(metrics[name]):.3f}")
        if (best := metric_name("unseen", "best_layer")) in metrics:
            layer = int(metrics[best])
            parts.append(f"best layer {layer} ({pl_module.backbone.taps[layer].name})")  # type: ignore[union-attr, index]
        if self._began is not None and self._bars is None:
            (at, first), step, self._began = self._began, trainer.global_step, None
            if first < step < (last := int(trainer.estimated_stepping_batches)):
                # at the mean speed so far, which has as many evaluations a step as the rest
                parts.append(about_left((time.monotonic() - at) / (step - first) * (last - step)))
        (self._bars.console if self._bars else self._console).print(" · ".join(parts))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bars."""
        self.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close the bars, so that the error is readable."""
        self.close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Close the bars."""
        self.close()

    def close(self) -> None:
        """Give the terminal back."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._training = self._phase = None


def _planned(trainer: Trainer) -> int:
    return trainer.max_steps if trainer.max_steps > 0 else int(trainer.estimated_stepping_batches)
