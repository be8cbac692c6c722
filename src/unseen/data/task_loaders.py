"""Batches of a task for Lightning, shared out over the processes of a run.

Legend: N images, B batch, W processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from unseen.data.batches import EvalSampler, TrainSampler, check_identity

Take = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Gives what goes into the network (B, ...) and labels (B,) of images (B,) by number, on the network's device."""


class TaskLoader:
    """Batches of inputs (B, ...), labels (B,) and numbers (B,) of the images that a sampler names.

    Its state says what a resumed run must have in common with the interrupted one, as that of `BatchLoader` does.

    Args:
        sampler: Which batches.
        take: Gives images by number.
        identity: Plain values that make the sequence of batches; a checkpoint with others is refused.
    """

    def __init__(
        self, sampler: TrainSampler | EvalSampler, take: Take, identity: dict[str, Any] | None = None
    ) -> None:
        self._sampler, self._take, self._identity = sampler, take, dict(identity or {})

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for share in self._sampler:
            numbers = torch.from_numpy(np.ascontiguousarray(share.indices))
            yield *self._take(numbers), numbers

    def state_dict(self) -> dict[str, Any]:
        """Return what makes the sequence of batches."""
        return dict(self._identity)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compare with the checkpoint.

        Raises:
            ValueError: The checkpoint's run had other batches, so that this one cannot continue it.
        """
        check_identity(state, self._identity)


class TrainAndHeldOut(LightningDataModule):
    """Training images in an order of its own in each epoch, and held-out ones.

    Args:
        take: Gives training images by number.
        train: Numbers of those to train on.
        held_out: Numbers of those that choose the epoch.
        batch_size: B, in each process.
        seed: Makes the orders.
    """

    def __init__(
        self, take: Take, *, train: Sequence[int], held_out: Sequence[int], batch_size: int, seed: int
    ) -> None:
        super().__init__()
        self._take, self._batch_size, self._seed = take, batch_size, seed
        self._train, self._held_out = torch.as_tensor(train), torch.as_tensor(held_out)

    def train_dataloader(self) -> TaskLoader:
        """Return this process's batches, from the one where training stands."""
        rank, processes = self._place()
        sampler = TrainSampler(
            len(self._train), self._batch_size, seed=self._seed, position=self._batches_done, rank=rank,
            world_size=processes,
        )  # fmt: skip
        identity = {"batch_size": self._batch_size, "processes": processes, "images": len(self._train)}
        return TaskLoader(sampler, lambda some: self._take(self._train[some]), identity)

    def val_dataloader(self) -> TaskLoader:
        """Return this process's share of the held-out images, each of which one process has."""
        rank, processes = self._place()
        sampler = EvalSampler(len(self._held_out), self._batch_size, rank=rank, world_size=processes)
        return TaskLoader(sampler, lambda some: self._take(self._held_out[some]))

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _batches_done(self) -> int:
        if self.trainer is None:
            return 0
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress
        return int(progress.total.processed)  # `completed` lags behind, see SeenUnseenDataModule


class EveryImage(LightningDataModule):
    """This process's share of N images, each of which one process has; for `Trainer.predict`.

    Args:
        take: Gives images by number.
        count: N.
        batch_size: B at most.
    """

    def __init__(self, take: Take, count: int, batch_size: int) -> None:
        super().__init__()
        self._take, self._count, self._batch_size = take, count, batch_size

    def predict_dataloader(self) -> TaskLoader:
        """Return the batches, in order."""
        assert self.trainer is not None
        sampler = EvalSampler(
            self._count,
            self._batch_size,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )
        return TaskLoader(sampler, self._take)
