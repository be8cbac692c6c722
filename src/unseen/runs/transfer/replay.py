"""Replay in fine-tuning: images of the other tasks in every step, so that these are not forgotten.

Legend: B images of a batch, T other tasks, C classes, D features, F of the image tower, S image size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from unseen.encoders.encoder import Encoder
    from unseen.encoders.image_features import ImageFeatures
    from unseen.runs.transfer.parts import Captioned


class Replay:
    """Training images of other tasks beside those of a batch (experience replay: Chaudhry et al., arXiv 1902.10486).

    Each image is told among the captions of its own task, as it is when the task is tested. One softmax over the
    captions of all tasks would train another decision than the tested one, and could not be right where two tasks have
    a class of the same caption, as MNIST and SVHN do.

    Args:
        tasks: T, at least one.
        encoder: The one that is trained.
        share: Of the images of a batch: so many are added to them.
        batch_size: The largest B.
        seed: Of the draws, which depend on the number of the step alone.
        device: Of the encoder.
        features: (T,) of the training images, where the image tower is frozen: they are given in place of images.
    """

    def __init__(
        self,
        tasks: Sequence[Captioned],
        encoder: Encoder,
        *,
        share: float,
        batch_size: int,
        seed: int,
        device: torch.device,
        features: Sequence[ImageFeatures] | None = None,
    ) -> None:
        self._tasks, self._share = tasks, share
        self._most, self._seed, self._device = round(share * batch_size), seed, device
        self._features = features
        self._class_embeddings = [one.embeddings_in_training(encoder) for one in tasks]

    def __call__(self, step: int, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield images or features of n images, labels (n,) and texts (C, D) of each task that a step draws from.

        Args:
            step: From 0.
            size: B.
        """
        first = step * self._most
        added = min(round(self._share * size), self._most)
        sizes = [len(one.task.train) for one in self._tasks]
        for place, images in enumerate(drawn(first, added, sizes, self._seed)):
            if images:
                task = self._tasks[place].task
                if self._features is None:
                    batches = task.batches(task.train, len(images), self._device, images)
                else:
                    batches = self._features[place].batches(len(images), self._device, images)
                ((inputs, labels),) = batches
                yield inputs, labels, self._class_embeddings[place]()


def drawn(first: int, count: int, sizes: Sequence[int], seed: int) -> list[list[int]]:
    """Return which images of each of T tasks are the draws number first, first + 1, ... of a training.

    Draws go round the tasks, and in each task through all images in a random order before one comes again.

    Args:
        first: Number of the first draw.
        count: How many.
        sizes: (T,) number of images of each task.
        seed: Makes the orders.
    """
    found: list[list[int]] = [[] for _ in sizes]
    for number in range(first, first + count):
        turn, task = divmod(number, len(sizes))
        again, place = divmod(turn, sizes[task])
        found[task].append(int(_order(sizes[task], seed, again)[place]))
    return found


@lru_cache(maxsize=256)
def _order(size: int, seed: int, again: int) -> npt.NDArray[np.int64]:
    from unseen.data.batches import epoch_order

    return epoch_order(size, seed, again)
