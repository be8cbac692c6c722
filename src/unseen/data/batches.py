"""Which samples make which batch: pure functions of (seed, epoch), so that any place can be returned to."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from unseen.data.canvases import CanvasStore, UnreadableImageError
from unseen.data.shift import Shift
from unseen.data.transforms import Noise, NoiseSource
from unseen.process_rank import die_with_parent
from unseen.wording import count

# An evaluation set gives at least so many batches, so that up to so many processes see equal ones.
_EVAL_BATCHES = 8
Indices = npt.NDArray[np.int64]
_ORDER, _BALANCED = 21, 22  # streams of random numbers of their own


class Batch(NamedTuple):
    """What a network gets: images (B, 3, S, S) float32, labels (B,) and indices (B,) int64."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class CanvasBatch(NamedTuple):
    """What a loader yields: canvases (B, 3, S+2p, S+2p) uint8, labels and indices (B,) int64, angles (B,), noise.

    The epoch is there for training batches only, a shift for those of unseen classes only, and inks (B, 3) uint8, in
    which black is shown, where there is a colour cue.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    angles: Tensor | None
    noise: Noise | None = None
    epoch: int | None = None
    shift: Shift = "none"
    inks: Tensor | None = None


class Share(NamedTuple):
    """The samples of one batch: the epoch of training, their indices (B,), the angles (B,) that turn them, or None."""

    epoch: int | None
    indices: Indices
    angles: npt.NDArray[np.float32] | None = None


Angles = Callable[[int], Tensor]
"""Gives the angles (N,) of an epoch."""


def epoch_order(num_samples: int, seed: int, epoch: int) -> Indices:
    """Return the order (N,) in which an epoch visits the samples."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(num_samples)


def balanced_order(labels: Indices, seed: int, epoch: int) -> Indices:
    """Return samples (N,) of an epoch, each class as often as the others, to one: some come again, others not at all.

    A sample comes again only when all of its class have come.

    Args:
        labels: (N,) class of each sample.
        seed: Makes the order.
        epoch: Each has another.
    """
    rng = np.random.default_rng([seed, _BALANCED, epoch])
    classes = rng.permutation(np.unique(labels))  # the first ones get what is left over
    share, more = divmod(len(labels), len(classes))
    drawn = [
        _again_and_again(np.flatnonzero(labels == label), share + (place < more), rng)
        for place, label in enumerate(classes)
    ]
    return rng.permutation(np.concatenate(drawn))


def _again_and_again(samples: Indices, count: int, rng: np.random.Generator) -> Indices:
    rounds = [rng.permutation(samples) for _ in range(-(-count // len(samples)))]
    return np.concatenate(rounds)[:count] if rounds else samples[:0]


def split_into_batches(num_samples: int, batch_size: int) -> list[tuple[int, int]]:
    """Return (first, last + 1) of each batch; the last may be smaller.

    A last batch of a single sample joins the one before it: batch normalisation cannot train on one sample.

    >>> split_into_batches(7, 3), split_into_batches(8, 3)
    ([(0, 3), (3, 7)], [(0, 3), (3, 6), (6, 8)])
    """
    starts = list(range(0, num_samples, batch_size))
    if len(starts) > 1 and batch_size > 1 and num_samples - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], num_samples], strict=True))


def limited(batches: int, limit: float) -> int:
    """Return after how many of its batches an epoch ends, by the trainer's `limit_train_batches`.

    >>> limited(8, 3), limited(8, 20), limited(8, 0.5), limited(8, 0.1)
    (3, 8, 4, 0)
    """
    return min(limit, batches) if isinstance(limit, int) else int(batches * limit)


def check_limit(images: int, batch_size: int, processes: int, limit: float) -> None:
    """Raise ValueError where `limit_train_batches` leaves no batch: Lightning would end a run without a step."""
    batches = len(split_into_batches(-(-images // processes), batch_size))
    if limited(batches, limit) < 1:
        raise ValueError(
            f"trainer.limit_train_batches={limit} leaves none of the {count(batches, 'batch', 'batches')} of an epoch "
            "to train on; choose at least 1, or a larger share, or score without training with eval.py"
        )


class TrainSampler(DistributedSampler[Share]):
    """Batches of training samples, from the place where training stands.

    It is a DistributedSampler by name only, because Lightning replaces any other kind under DDP.

    Args:
        num_samples: N.
        batch_size: Samples per batch and rank.
        seed: Makes the order of every epoch.
        position: Gives the number of batches already trained on, over all epochs.
        limit: The trainer's `limit_train_batches`, after which an epoch ends: a number, or a share if a float.
        rank: This process takes every `world_size`-th sample of the epoch's order, from the `rank`-th on.
        world_size: W. Where W does not divide N, the epoch's first samples come again, so that all ranks
            have the same number of batches.
        angles: Gives the angles of an epoch; None: nothing is turned.
        balanced: Labels (N,), to show each class equally often; None: each sample once an epoch.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        seed: int,
        position: Callable[[], int] = lambda: 0,
        limit: float = 1.0,
        rank: int = 0,
        world_size: int = 1,
        angles: Angles | None = None,
        balanced: Indices | None = None,
    ) -> None:
        super().__init__(range(num_samples), num_replicas=world_size, rank=rank, seed=seed)  # type: ignore[arg-type]
        self._count, self._balanced = num_samples, balanced
        self._position, self._angles = position, angles
        per_rank = -(-num_samples // world_size)
        self._batches = split_into_batches(per_rank, batch_size)
        full = len(self._batches)
        self._batches_per_epoch = max(1, limited(full, limit))

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Share]:
        # a generator: the position is read when the first batch is asked for, not when the iterator is made
        epoch, done = divmod(self._position(), self._batches_per_epoch)
        if self._balanced is None:
            order = epoch_order(self._count, self.seed, epoch)
        else:
            order = balanced_order(self._balanced, self.seed, epoch)
        padded = np.resize(order, -(-self._count // self.num_replicas) * self.num_replicas)
        mine = padded[self.rank :: self.num_replicas]  # (N / W,)
        angles = self._angles(epoch).numpy()[mine] if self._angles else None
        for first, end in self._batches[done:]:
            yield Share(epoch, mine[first:end], None if angles is None else angles[first:end])


class EvalSampler(DistributedSampler[Share]):
    """Batches in order; rank r of W takes batches r, r+W, ... and no sample comes twice.

    Whole batches are shared out, not samples: a batch has the same samples for every W, so a network gives the
    same bits for every W. No batch is larger than an eighth of the samples, so that every rank of a small job has
    one; with more ranks than batches, batches shrink, and results agree to rounding.

    Args:
        num_samples: N.
        batch_size: At most so many samples per batch.
        rank: r.
        world_size: W; at most N.
        angles: Gives the angles that the samples keep, those of epoch 0; None: nothing is turned.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        angles: Angles | None = None,
    ) -> None:
        super().__init__(range(num_samples), num_replicas=world_size, rank=rank, shuffle=False)  # type: ignore[arg-type]
        if world_size > num_samples:
            raise ValueError(f"{num_samples} images to evaluate cannot be shared by {world_size} processes")
        size = min(batch_size, -(-num_samples // max(_EVAL_BATCHES, world_size)))
        starts = range(0, num_samples, size)
        if len(starts) < world_size:  # the last ranks would get nothing
            starts = range(0, num_samples, size := 1)
        self._batches = [np.arange(start, min(start + size, num_samples), dtype=np.int64) for start in starts]
        self._angles = angles

    def __len__(self) -> int:
        return len(range(self.rank, len(self._batches), self.num_replicas))

    def __iter__(self) -> Iterator[Share]:
        angles = self._angles(0).numpy() if self._angles else None
        for batch in self._batches[self.rank :: self.num_replicas]:
            yield Share(None, batch, None if angles is None else angles[batch])


class CanvasDataset(Dataset["CanvasBatch | UnreadableImageError"]):
    """Whole batches from a store.

    Args:
        store: N canvases.
        noise: Gives what the images are mixed with; None: nothing.
        shift: How the images will be changed.
        inks: (N, 3) uint8, the ink of each image; None: as they are.
    """

    def __init__(
        self,
        store: CanvasStore,
        noise: NoiseSource | None = None,
        shift: Shift = "none",
        inks: Tensor | None = None,
    ) -> None:
        self._store, self._noise, self._shift, self._inks = store, noise, shift, inks

    def __len__(self) -> int:
        return len(self._store)

    def __getitem__(self, share: Share) -> CanvasBatch | UnreadableImageError:
        """Return the batch with the given samples, or which file it could not be made of.

        Raised in a worker process, the error would come out with the stack trace of the worker as its text.
        """
        indices = torch.from_numpy(np.ascontiguousarray(share.indices, dtype=np.int64))
        try:
            images = self._store.take(indices)
        except UnreadableImageError as error:
            return error
        noise = self._noise.draw(indices) if self._noise else None
        angles = None if share.angles is None else torch.from_numpy(share.angles)
        labels = self._store.labels[indices]
        inks = None if self._inks is None else self._inks[indices]
        return CanvasBatch(images, labels, indices, angles, noise, share.epoch, self._shift, inks)


class BatchLoader(DataLoader[CanvasBatch]):
    """A loader of whole batches.

    Its state says what a resumed run must have in common with the interrupted one; the place in the epoch
    comes from the trainer. Having a state is also what tells Lightning that it may resume in the middle of an
    epoch.

    Args:
        dataset: Batches by share.
        sampler: Which batches.
        identity: Plain values that make the sequence of batches; a checkpoint with others is refused.
        workers: Processes that make batches ahead of time; 0: this process makes each when it is asked for.
        pin_memory: Put batches where a CUDA device can fetch them by itself; this opens a CUDA context.
    """

    def __init__(
        self,
        dataset: CanvasDataset,
        sampler: TrainSampler | EvalSampler,
        identity: dict[str, Any] | None = None,
        *,
        workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        workers = min(workers, len(sampler))
        super().__init__(
            dataset,  # type: ignore[arg-type]
            sampler=sampler,
            batch_size=None,
            collate_fn=_unchanged,
            num_workers=workers,
            worker_init_fn=_begin_worker,
            # a forked worker starts at once, and shares what the source has read (an index of an archive, say)
            multiprocessing_context="fork" if workers and sys.platform.startswith("linux") else None,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # else every iterator draws from the global generator
        )
        self._identity = dict(identity or {})

    def __iter__(self) -> Iterator[CanvasBatch]:  # type: ignore[override]
        """Yield the batches.

        A generator: workers start when the first batch is asked for. Lightning makes an iterator before it has read
        from the checkpoint where training stands.

        Raises:
            UnreadableImageError: A file is no usable image.
        """
        for made in super().__iter__():
            if isinstance(made, UnreadableImageError):
                raise made
            if self.num_workers and not self.pin_memory:
                # a tensor of a worker keeps a file open, and an evaluation keeps labels and indices
                yield made._replace(labels=made.labels.clone(), indices=made.indices.clone())
            else:
                yield made

    def state_dict(self) -> dict[str, Any]:
        """Return what makes the sequence of batches."""
        return dict(self._identity)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compare with the checkpoint.

        Raises:
            ValueError: The checkpoint's run had other batches, so that this one cannot continue it.
        """
        check_identity(state, self._identity)


def check_identity(state: dict[str, Any], identity: dict[str, Any]) -> None:
    """Compare what makes a sequence of batches with a checkpoint's.

    Raises:
        ValueError: They differ, so that a run cannot continue the checkpoint's.
    """
    for key, mine in identity.items():
        if key in state and state[key] != mine:
            raise ValueError(
                f"the checkpoint cannot be resumed: it was written with {key}={state[key]}, "
                f"and this run has {key}={mine}"
            )


def _unchanged(batch: Any) -> Any:
    return batch


def _begin_worker(number: int) -> None:
    """Leave it to the main process to end a worker: Ctrl-C and a closed terminal reach all of them at once."""
    del number
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: os._exit(0))
    main = multiprocessing.parent_process()
    if main is not None and main.pid is not None:
        die_with_parent(main.pid)
