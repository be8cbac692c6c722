"""ImageNet-C and its like: clean images, corrupted in several ways at several severities.

They are stored, `corruption/severity/CLASS/...`, or made of clean images when they are read.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec

from torch import Tensor

from unseen.data.files import FileTree, below
from unseen.image_sets.benchmark import Benchmark
from unseen.image_sets.class_folders import MissingImagesError, labelled_in, missing_from, tree_of
from unseen.image_sets.corruptions import NINETEEN, SEVERITIES, corrupt
from unseen.image_sets.image_set import Group, ImageSet
from unseen.image_sets.pictures import SIDE, Pictures
from unseen.wording import listing, suggestion

_EXTRA = "corrupt_tta"
_REVISION = 1  # of our own corruptions: raised when one of them changes, so that kept images are made anew
_one_thread = threading.Lock()  # `corrupt` seeds NumPy's global generator


@dataclass(frozen=True)
class Corrupted:
    """A set of images for each corruption and severity, called NAME-CORRUPTION-SEVERITY.

    Attributes:
        corruptions: Their names, which are folders in the root; of those of ImageNet-C any can be made.
        root: A folder or zip archive; None: missing.
        group: Which mean over benchmarks it belongs to.
        severities: From 1 to 5.
        clean: Clean images that are corrupted where the root has not the corruption; None: it is left out.
        seed: Of the noise that is made.
        expected: Number of images of a stored set; another number is told as a notice.
    """

    corruptions: Sequence[str]
    root: str | None = None
    group: Group | None = None
    severities: Sequence[int] = (1, 2, 3, 4, 5)
    clean: Benchmark | None = None
    seed: int = 0
    expected: int | None = 50_000

    def open(self, name: str, size: int = SIDE) -> list[ImageSet]:
        """Return the sets in the order of the settings."""
        self._check(name)
        setting = f"benchmark.{name}.root"
        try:
            tree, place = tree_of(self.root, setting)
            where = _folder_with(tree, self.corruptions)
            if where is None:
                raise MissingImagesError(f"{place} has none of the folders {listing(self.corruptions, 6)}")
        except MissingImagesError as error:
            if self.clean is None:
                raise
            return self._made(name, size, self._cells(), str(error))
        stored: dict[tuple[str, int], ImageSet] = {}
        for corruption, severity in self._cells():
            folder = below(where, corruption)
            if corruption in tree.folders(where) and str(severity) in tree.folders(folder):
                found = labelled_in(tree, place, below(folder, str(severity)), setting)
                stored[corruption, severity] = ImageSet(
                    f"{name}-{corruption}-{severity}",
                    name,
                    self.group,
                    found.pictures(size),
                    found.labels[:, None],
                    found.decision,
                    notices=(*missing_from(len(found.paths), self.expected), *found.notices),
                )
        absent = [cell for cell in self._cells() if cell not in stored]
        made: dict[tuple[str, int], ImageSet] = {}
        if absent and self.clean is not None:
            why = f"{place} has not {_listing(absent)}"
            made = dict(zip(absent, self._made(name, size, absent, why), strict=True))
        elif absent:
            first = next(iter(stored))
            notice = f"{name} is without {_listing(absent)}, which {place} has not"
            stored[first] = replace(stored[first], notices=(notice, *stored[first].notices))
        both = stored | made
        return [both[cell] for cell in self._cells() if cell in both]

    def _cells(self) -> list[tuple[str, int]]:
        return [(corruption, severity) for corruption in self.corruptions for severity in self.severities]

    def _check(self, name: str) -> None:
        for key, values in (("corruptions", self.corruptions), ("severities", self.severities)):
            if not values or len(set(values)) != len(values):
                raise ValueError(f"benchmark.{name}.{key}={list(values)} must name at least one, each once")
        wrong = [severity for severity in self.severities if severity not in SEVERITIES]
        if wrong:
            raise ValueError(f"benchmark.{name}.severities has {listing(wrong)}; allowed are 1 to 5")

    def _made(self, name: str, size: int, cells: Sequence[tuple[str, int]], why: str) -> list[ImageSet]:
        """Return sets that are made of the clean images."""
        assert self.clean is not None
        if find_spec(_EXTRA) is None:
            raise MissingImagesError(
                f"{why}; to make it of clean images needs pip install 'unseen[corruptions]'"
            )
        unknown = sorted({corruption for corruption, _ in cells} - set(NINETEEN))
        if unknown:
            raise ValueError(
                f"benchmark.{name}.corruptions has {listing(unknown)}, which cannot be made of clean images"
                f"{suggestion(unknown[0], NINETEEN)}; allowed are {listing(NINETEEN, 19)}"
            )
        try:
            [clean] = self.clean.open(f"{name}.clean", size)
        except MissingImagesError as error:
            raise MissingImagesError(f"{why}; and there are no clean images to corrupt: {error}") from error
        numbers = range(len(clean))
        sets = [
            replace(
                clean,
                name=f"{name}-{corruption}-{severity}",
                benchmark=name,
                group=self.group,
                pictures=CorruptedPictures(clean.pictures, corruption, severity, numbers, self.seed),
                notices=(),
            )
            for corruption, severity in cells
        ]
        because = "" if self.root is None else f", for {why}"
        notice = f"made of clean images when they are read{because}"
        sets[0] = replace(sets[0], notices=(notice, *clean.notices))
        return sets


@dataclass(frozen=True, eq=False)
class CorruptedPictures:
    """Images that are corrupted when they are read, each with noise of its own number.

    Attributes:
        clean: N images.
        corruption: Such as `fog`.
        severity: 1 to 5.
        numbers: N numbers by which the noise is drawn: those of the images in the whole set.
        seed: Of the noise.
    """

    clean: Pictures
    corruption: str
    severity: int
    numbers: Sequence[int]
    seed: int = 0

    @property
    def size(self) -> int:
        """S."""
        return self.clean.size

    def __len__(self) -> int:
        return len(self.clean)

    def read(self, numbers: Sequence[int]) -> Tensor:
        """Return images by number, see `Pictures`."""
        clean, drawn_by = self.clean.read(numbers), [self.numbers[number] for number in numbers]
        with _one_thread:
            return corrupt(clean, self.corruption, self.severity, drawn_by, self.seed)

    def only(self, numbers: Sequence[int]) -> CorruptedPictures:
        """Return some of the images, numbered anew, with the same noise as before."""
        return replace(
            self, clean=self.clean.only(numbers), numbers=[self.numbers[number] for number in numbers]
        )

    def names(self) -> Sequence[str]:
        """Return the names of the clean images."""
        return self.clean.names()

    def stamps(self) -> list[str]:
        """Return what the pixels depend on: the clean image, the corruption and what draws it."""
        how = f"{self.corruption} {self.severity} seed {self.seed} by {version(_EXTRA)}, revision {_REVISION}"
        return [
            f"{stamp}, {how} number {number}"
            for stamp, number in zip(self.clean.stamps(), self.numbers, strict=True)
        ]


def _folder_with(tree: FileTree, corruptions: Sequence[str]) -> str | None:
    """Return the folder of the root in which folders of corruptions are; None: there is none."""
    where = ""
    while not set(names := tree.folders(where)) & set(corruptions):
        if len(names) != 1:
            return None
        where = below(where, names[0])
    return where


def _listing(cells: Sequence[tuple[str, int]]) -> str:
    """Return cells by corruption: fog (1, 2), snow (1)."""
    of_corruption: dict[str, list[int]] = {}
    for corruption, severity in cells:
        of_corruption.setdefault(corruption, []).append(severity)
    return listing((f"{name} ({listing(severities)})" for name, severities in of_corruption.items()), 20)
