"""A data set as a classification task of all its classes: images to train on and to test on, none withheld.

Legend: N images, B batch, C classes, S image size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from unseen.data.canvas_cache import CanvasCache
from unseen.data.canvases import CanvasStore, Frame, decode_all, decode_into_memory
from unseen.data.catalog import Counts, ImageSource
from unseen.data.selection import Chosen, SelectionRule, planned_sizes, refuse_bad_files, select
from unseen.data.splits import MIN_CLASSES, ClassSplit
from unseen.data.transforms import to_images
from unseen.wording import listing


class AllSeen(ClassSplit):
    """A split that withholds no class."""

    def __post_init__(self) -> None:
        """Refuse fewer than two classes."""
        if len(self.seen) < MIN_CLASSES:
            raise ValueError(
                f"a task needs {MIN_CLASSES} classes at least; there are {listing(self.classes) or 'none'}"
            )

    @classmethod
    def of(cls, classes: Sequence[str], seed: int = 0) -> AllSeen:
        """Return the split of all classes."""
        names = tuple(sorted(set(classes)))
        return cls(names, tuple(range(len(names))), (), seed)


@dataclass(frozen=True, eq=False)
class Task:
    """The images of a task, decoded.

    Attributes:
        name: Of the data set.
        classes: C names; the position is the label.
        train: Images to measure and to train on.
        test: Images to test on.
        image_size: S.
        mean: Of each channel that the encoder wants.
        std: Standard deviation of each channel.
    """

    name: str
    classes: tuple[str, ...]
    train: CanvasStore
    test: CanvasStore
    image_size: int
    mean: Tensor = field(repr=False)
    std: Tensor = field(repr=False)

    def take(self, part: CanvasStore, numbers: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return normalised images (B, 3, S, S) and labels (B,) of `train` or `test` by number, on a device."""
        canvases = part.take(numbers).to(device)
        images = to_images(canvases, None, size=self.image_size, mean=self.mean, std=self.std)
        return images, part.labels[numbers].to(device)

    def batches(
        self, part: CanvasStore, batch_size: int, device: torch.device, order: Sequence[int] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised images (B, 3, S, S) and labels (B,) on the device.

        Args:
            part: `train` or `test`.
            batch_size: B.
            device: Of the encoder.
            order: Indices of the images; None: all in order.
        """
        indices = torch.arange(len(part)) if order is None else torch.as_tensor(order)
        for some in torch.split(indices, batch_size):
            yield self.take(part, some, device)


def limited(rule: SelectionRule, counts: Counts, split: ClassSplit, limit: int | None) -> SelectionRule:
    """Return the rule that takes at most `limit` training and as many test images; None: all that this one takes.

    Raises:
        ValueError: One sentence: this rule is impossible, or the limit leaves a class without an image.
    """
    train, test, _ = planned_sizes(counts, split, rule)
    if limit is None:
        return rule
    if limit < len(split.seen):
        raise ValueError(f"limit={limit} is less than one image for each of the {len(split.seen)} classes")
    return replace(rule, train_size=min(train, limit), test_size=min(test, limit))


def load_task(
    name: str,
    source: ImageSource,
    image_size: int,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    rule: SelectionRule | None = None,
    limit: int | None = None,
    cache: CanvasCache | None = None,
    skip_bad: bool = False,
) -> Task:
    """Return the task of a data set; its images are downloaded where they are missing, and decoded.

    Args:
        name: Of the data set.
        source: Where the images are.
        image_size: S.
        mean: Of each channel, for pixels in 0..1.
        std: Standard deviation of each channel.
        rule: How many images are taken, and how classes without test images of their own are divided.
        limit: At most so many training and so many test images, whatever the rule takes; None: no limit.
        cache: Where decoded images are kept on disk; None: in memory.
        skip_bad: Leave out files that are no usable images instead of refusing them.

    Raises:
        ValueError: One sentence: fewer than two classes, more images asked for than there are, or files that are no
            usable images.
        DataUnavailableError: Images are missing and cannot be downloaded.
    """
    source.check()
    source.prepare()
    catalog = source.list()
    rule = rule or SelectionRule()
    split = AllSeen.of(catalog.classes(), rule.seed)
    chosen = select(catalog, split, limited(rule, catalog.counts(), split, limit))
    decode = decode_into_memory if cache is None else partial(cache.decode, source.stamps)
    kinds: tuple[Chosen, Chosen] = (chosen.train, chosen.test)
    (train, test), bad = decode_all(source.read, kinds, Frame(image_size, 0, 0), decode=decode)
    if bad and not skip_bad:
        refuse_bad_files(bad, len(chosen.train.references) + len(chosen.test.references))
    return Task(name, split.seen_names, train, test, image_size, torch.tensor(mean), torch.tensor(std))
