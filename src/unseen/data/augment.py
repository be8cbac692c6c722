"""Augmentation of training images: any transform of torchvision, image by image, on the device of the batch.

What an image becomes is a pure function of (seed, epoch, its index, the view): the same for any number of processes,
and in a run that is resumed. Legend: B batch, S image side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from numpy.random import SeedSequence
from torch import Tensor

from unseen.wording import one_line

Augment = Callable[[Tensor], Tensor]
"""Makes another image of one: (3, S, S) uint8 to (3, S, S) uint8, random by torch's generators."""
_AUGMENT = 51  # a stream of random numbers of its own


def check_augment(augment: Augment, size: int) -> None:
    """Try it on a black image.

    Raises:
        ValueError: It fails, or does not return a uint8 image of the same size.
    """
    try:
        augmented(torch.zeros(1, 3, size, size, dtype=torch.uint8), augment, seed=0, epoch=0, indices=[0])
    except ValueError:
        raise
    except Exception as error:  # a transform may raise any
        raise ValueError(f"data.augment cannot be applied to an image: {one_line(error)}") from error


def augmented(
    images: Tensor, augment: Augment, *, seed: int, epoch: int, indices: Sequence[int], view: int = 0
) -> Tensor:
    """Return augmented images (B, 3, S, S) uint8; the random state stays as it was.

    Args:
        images: (B, 3, S, S) uint8.
        augment: See `Augment`.
        seed: Of the training.
        epoch: Of the training.
        indices: Positions of the images in the training set, B.
        view: Number of the view; each is drawn for itself.

    Raises:
        ValueError: It does not return a uint8 image of the same size.
    """
    made = torch.empty_like(images)
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices):
        for place, index in enumerate(indices):
            stream = (seed, _AUGMENT, epoch, index, *([view] if view else []))
            words = SeedSequence(stream).generate_state(1, "uint64")
            torch.manual_seed(int(words[0]))
            image = augment(images[place])
            if image.shape != images[place].shape or image.dtype != torch.uint8:
                raise ValueError(
                    f"data.augment made a {image.dtype} image of shape {tuple(image.shape)}; it must return what it "
                    f"gets, torch.uint8 and {tuple(images[place].shape)}: the program scales and normalises afterwards"
                )
            made[place] = image
    return made
