"""What to say, and when to stop, if image files cannot be used."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from unseen.data.splits import ClassSplit
from unseen.wording import count, listing, printable

_SHOWN = 10


def refuse_bad_files(bad: tuple[tuple[str, str], ...], num_files: int) -> NoReturn:
    """Stop because of bad files.

    Args:
        bad: Reference and reason of each.
        num_files: Number of files that were read.

    Raises:
        ValueError: Always; it lists the first ten files.
    """
    shown = ", ".join(f"{printable(reference)} ({printable(reason)})" for reference, reason in bad[:_SHOWN])
    more = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    raise ValueError(
        f"{len(bad):,} of {count(num_files, 'image file')} cannot be used: {shown}{more}; mend or remove "
        "them, or leave them out with data.skip_bad=true"
    )


def check_still_complete(split: ClassSplit, train: Tensor, test: Tensor, unseen: Tensor) -> None:
    """Refuse classes that lost all their images.

    Args:
        split: The classes.
        train: Labels (N,) of the training images that are left.
        test: Labels of the test images of the seen classes.
        unseen: Labels of the images of the unseen classes.

    Raises:
        ValueError: It names the classes.
    """
    kinds = (
        ("training", train, split.seen_names),
        ("test", test, split.seen_names),
        ("unseen", unseen, split.unseen_names),
    )
    for kind, labels, names in kinds:
        left = torch.bincount(labels, minlength=len(names)).tolist()
        if empty := [name for name, number in zip(names, left, strict=True) if number == 0]:
            raise ValueError(f"no {kind} images are left of these classes: {listing(empty)}")
