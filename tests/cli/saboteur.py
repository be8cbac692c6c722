"""A callback that makes a training fail in a chosen way; tests add it on the command line."""

from __future__ import annotations

import os
import resource
import signal
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class Saboteur(Callback):
    """Fails before step `step`.

    Args:
        kind: none, raise, kill (SIGKILL to itself), terminate (SIGTERM to itself), terminate_parent (to the process
            that started it), memory (more than there is), diverge (weights become NaN).
        step: When.
        rank: In which process of the job.
    """

    def __init__(self, kind: str, step: int = 3, rank: int = 0) -> None:
        self._kind = kind
        self._step = step
        self._rank = rank

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step != self._step or trainer.global_rank != self._rank:
            return
        if self._kind == "raise":
            raise RuntimeError("the dog ate the gradients")
        if self._kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._kind == "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
        if self._kind == "terminate_parent":
            os.kill(os.getppid(), signal.SIGTERM)
            signal.pause()  # until the parent ends us
        if self._kind == "memory":
            used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")  # noqa: PTH123, SIM115
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
            torch.ones(2**30)
        if self._kind == "diverge":
            with torch.no_grad():
                for weight in pl_module.parameters():
                    weight.fill_(float("nan"))


class Stop(Callback):
    """Stops a training in one of the ways that trainings stop.

    Args:
        how: never; early (as EarlyStopping does); interrupt (Ctrl-C in a step); between (Ctrl-C when the scores of an
            evaluation have been written, and its checkpoint has not).
        step: When.
    """

    def __init__(self, how: str, step: int = 3) -> None:
        self._how = how
        self._step = step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._step:
            if self._how == "early":
                trainer.should_stop = True
            if self._how == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._how == "between" and trainer.global_step >= self._step:
            os.kill(os.getpid(), signal.SIGINT)
