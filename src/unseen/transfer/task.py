"""A task as transfer scores see it: embeddings and labels, checked before anything is computed, and draws of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseen.transfer.inputs import (
    Floats,
    Integers,
    Matrix,
    class_numbers,
    classes_of,
    finite,
    integers,
    unit_rows,
)
from unseen.wording import count


@dataclass(frozen=True)
class Task:
    """Images of a task in the space of an encoder. Legend in `unseen.transfer.inputs`.

    Attributes:
        images: (N, D) image embeddings of length 1.
        labels: (N,) int64.
        texts: (C, D) caption embeddings of length 1; None: there are none.
        probabilities: (N, Z) zero-shot probabilities; None: there are none.
        label_embeddings: Arrays (C, E) of vectors of the class names, for EMMS; may be empty.
    """

    images: Floats
    labels: Integers
    texts: Floats | None = None
    probabilities: Floats | None = None
    label_embeddings: tuple[Floats, ...] = ()

    @classmethod
    def checked(
        cls,
        images: Matrix,
        labels: Matrix,
        texts: Matrix | None = None,
        probabilities: Matrix | None = None,
        label_embeddings: Sequence[Matrix] = (),
    ) -> Task:
        """Return the task of what a caller gives; rows are copied, and divided by their length.

        Raises:
            ValueError: In one sentence: shapes that do not match, a zero row, NaN, one class, labels without a class.
        """
        rows = unit_rows(images, "images")
        n, d = rows.shape
        classes_of(labels, n)
        captions = None if texts is None else unit_rows(texts, "texts")
        if captions is not None and captions.shape[1] != d:
            raise ValueError(
                f"images have {d} dimensions and texts {captions.shape[1]}; both must come from one encoder"
            )
        chances = None if probabilities is None else finite(probabilities, "probabilities")
        if chances is not None and len(chances) != n:
            raise ValueError(
                f"probabilities must be one row an image, got {len(chances)} for {count(n, 'image')}"
            )
        sets = tuple(finite(one, f"label_embeddings[{k}]") for k, one in enumerate(label_embeddings))
        tables = [len(one) for one in (captions, *sets) if one is not None]
        if len(set(tables)) > 1:
            raise ValueError(
                f"texts and label_embeddings must have one row for each class, got {' and '.join(map(str, tables))}"
            )
        numbers = class_numbers(labels, n, tables[0]) if tables else integers(labels, n)
        return cls(rows, numbers, captions, chances, sets)

    def take(self, images: Integers) -> Task:
        """Return the task of these images (n,), by number, in this order; a number may come again."""
        chances = None if self.probabilities is None else self.probabilities[images]
        return replace(self, images=self.images[images], labels=self.labels[images], probabilities=chances)

    def at_most(self, images: int | None, seed: int) -> Task:
        """Return the task of so many images, all if there are no more; each class keeps its share, and one at least."""
        if images is None or len(self.labels) <= images:
            return self
        rng = np.random.default_rng([seed, 2])
        order = rng.permutation(len(self.labels))
        _, targets = np.unique(self.labels, return_inverse=True)
        sizes = np.bincount(targets)
        kept = np.maximum(1, sizes * images // len(targets))
        grouped = order[np.argsort(targets[order], kind="stable")]
        place = np.arange(len(targets)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within its class
        return self.take(np.sort(grouped[place < np.repeat(kept, sizes)]))


def resample(labels: Integers, seed: int, number: int) -> Integers:
    """Return numbers (N,) of images drawn with replacement within each class, whose size stays."""
    rng = np.random.default_rng([seed, 0, number])
    _, targets, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(targets, kind="stable")
    starts, lengths = (np.cumsum(sizes) - sizes)[targets], sizes[targets]
    drawn: Integers = order[starts + rng.integers(0, lengths)]
    return drawn


def groups_of(labels: Integers, seed: int, groups: int) -> Integers:
    """Return for each image (N,) the group 0..G-1 that it is left out with; -1: never.

    Groups, and the images of a class among them, differ by one image in size at most. Classes of one or two images are
    never cut, so that no class disappears and each that has a variance keeps it.
    """
    rng = np.random.default_rng([seed, 0])
    found = np.full(len(labels), -1, dtype=np.int64)
    begun = 0
    for label in np.unique(labels):
        images = rng.permutation(np.flatnonzero(labels == label))
        if len(images) > 2:
            found[images] = (begun + np.arange(len(images))) % groups
            begun += len(images)
    return found


def shuffle(labels: Integers, seed: int, number: int) -> Integers:
    """Return the labels (N,) in another order."""
    return np.random.default_rng([seed, 1, number]).permutation(labels)
