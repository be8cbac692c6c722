"""A set of labelled images on which measures are taken.

Legend: N images, B batch, M accepted classes, S side of an image in pixels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from unseen.data.canvases import quiet_pillow
from unseen.image_sets.decisions import Decision
from unseen.image_sets.pictures import Pictures

Labels = npt.NDArray[np.int64]
Group = Literal["id", "robustness", "concepts", "adversarial"]
_LOOKED_AT = 64  # images whose pixels are part of what is compared
_NO_CLASS = -1  # fills the rows of accepted classes


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their classes, and how a network decides among these.

    Attributes:
        name: Such as `imagenet_c-fog-3`; it is part of file names.
        benchmark: Such as `imagenet_c`, of which this set is a part; else the name. A benchmark's value is the mean
            over its sets.
        group: Which mean over benchmarks it belongs to; None: none.
        pictures: The pixels.
        accepted: (N, M), the classes that count as right; the first is the label, -1 fills the rows.
        decision: Maps outputs of a network to scores of the classes.
        textures: (N,), the class of the texture of cue-conflict images; None: the set has no textures.
        sources: (N, G), the numbers of the pictures that each image is made of, if images share them; else None.
        notices: What a reader of its values should know, such as images that are missing; sentences.
    """

    name: str
    benchmark: str
    group: Group | None
    pictures: Pictures
    accepted: Labels
    decision: Decision
    textures: Labels | None = None
    notices: tuple[str, ...] = field(default=())
    sources: Labels | None = None

    def __len__(self) -> int:
        return len(self.accepted)

    @property
    def labels(self) -> Labels:
        """(N,)."""
        return self.accepted[:, 0]

    @property
    def files(self) -> Sequence[str]:
        """What each image is called, N texts."""
        return self.pictures.names()

    def read(self, numbers: Sequence[int]) -> Tensor:
        """Return images by number: (B, 3, S, S) uint8, to be divided by 255.

        Raises:
            UnreadableImageError: A file is no usable image; it is named.
        """
        with quiet_pillow():
            return self.pictures.read(numbers)

    def only(self, numbers: Sequence[int]) -> ImageSet:
        """Return some of the images, numbered anew."""
        chosen = np.asarray(numbers, dtype=np.int64)
        return replace(
            self,
            pictures=self.pictures.only(chosen.tolist()),
            accepted=self.accepted[chosen],
            textures=None if self.textures is None else self.textures[chosen],
            sources=None if self.sources is None else self.sources[chosen],
        )

    def limited(self, most: int | None, seed: int = 0) -> ImageSet:
        """Return at most so many images, drawn so that each class keeps its share; None: all.

        Raises:
            ValueError: Fewer than 1.
        """
        if most is not None and most < 1:
            raise ValueError(f"limit={most} must be at least 1 image, or null for all")
        if most is None or most >= len(self):
            return self
        return self.only(stratified(self.labels, most, seed).tolist())

    def fingerprint(self) -> str:
        """Return a hash of files, labels and decision: equal for the same images, whoever measures them when."""
        digest = hashlib.sha256(json.dumps([list(self.files), self.pictures.stamps()]).encode())
        self._add_classes(digest)
        return digest.hexdigest()[:32]

    def content(self) -> str:
        """Return a hash that is equal for the same images wherever and whenever they are: names, classes, some pixels.

        Of more than 64 images, the pixels of 64 count, from the first to the last at equal distances.

        Raises:
            UnreadableImageError: A file is no usable image; it is named.
        """
        digest = hashlib.sha256(json.dumps(list(self.files)).encode())
        self._add_classes(digest)
        for number in np.unique(np.linspace(0, len(self) - 1, _LOOKED_AT).round().astype(int)).tolist():
            digest.update(self.read([number]).numpy().tobytes())
        return digest.hexdigest()[:32]

    def _add_classes(self, digest: hashlib._Hash) -> None:
        for numbers in (self.accepted, self.textures):
            digest.update(b"none" if numbers is None else np.ascontiguousarray(numbers).tobytes())
        digest.update(repr((self.pictures.size, self.decision)).encode())


def filled(rows: Sequence[Sequence[int]]) -> Labels:
    """Return the accepted classes of each image, rows of different lengths, as an array (N, M) filled with -1."""
    accepted = np.full((len(rows), max(map(len, rows))), _NO_CLASS, dtype=np.int64)
    for number, row in enumerate(rows):
        accepted[number, : len(row)] = row
    return accepted


def stratified(labels: Labels, most: int, seed: int) -> Labels:
    """Return the numbers of `most` images, ascending, of every class its share.

    The shares most * n / N of the classes are made whole by the method of the largest remainder, ties at random: a
    class gets its share rounded down or up.

    Args:
        labels: (N,).
        most: How many, at most N.
        seed: Of the draw.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    _, classes, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
    taken, remainders = np.divmod(most * sizes, len(labels))  # whole numbers: no rounding errors
    more = np.lexsort((generator.random(len(sizes)), -remainders))[: most - taken.sum()]
    taken[more] += 1
    by_class = np.argsort(classes, kind="stable")
    ranks = np.empty(len(labels), dtype=np.int64)  # of an image in its class, in random order
    ranks[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[ranks < taken[classes]])
