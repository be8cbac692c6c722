"""ImageNet-ReaL: the validation images with all classes that people see in them (Beyer et al., 2020)."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from unseen.image_sets.class_folders import Labelled, labelled_folders, missing_from
from unseen.image_sets.decisions import AllClasses
from unseen.image_sets.image_set import Group, ImageSet, filled
from unseen.image_sets.pictures import SIDE
from unseen.image_sets.tables import IMAGENET_CLASSES
from unseen.regular_files import MEBIBYTE, read_text
from unseen.wording import printable

_NAME = re.compile(r"ILSVRC2012_val_(\d{8})")
_FILE, _BYTES = "real.json", 64 * MEBIBYTE
_PUBLISHED_BATCH = 512


@dataclass(frozen=True)
class ReaL:
    """ImageNet's validation images, right for any class of their label sets; those with an empty set are skipped.

    Attributes:
        root: As for the validation images, a folder or zip archive; None: missing. The label sets are in `real.json`
            there, a list of lists in the order of the file numbers; else those that timm ships are taken.
        group: Which mean over benchmarks it belongs to.
        folder: Where in the root the class folders are.
        faithful: Only the last batch of 512 images in the order of the classes, from which the published values of
            arXiv 2404.01509 are (336 images of the whole set).
        expected: Number of validation images; another number is told as a notice.
    """

    root: str | None = None
    group: Group | None = None
    folder: str | None = "val"
    faithful: bool = False
    expected: int | None = 50_000

    def open(self, name: str, size: int = SIDE) -> list[ImageSet]:
        """Return the one set."""
        found = labelled_folders(self.root, f"benchmark.{name}.root", folder=self.folder)
        if found.decision != AllClasses():
            raise ValueError(
                f"{found.root} has folders of the 16 entry-level classes; ReaL labels ImageNet's 1,000"
            )
        first = 0
        if self.faithful:
            first = (len(found.paths) - 1) // _PUBLISHED_BATCH * _PUBLISHED_BATCH
        sets = _label_sets(found)
        accepted = [_label_set(path, sets) for path in found.paths]
        numbers = [number for number in range(first, len(accepted)) if accepted[number]]
        if not numbers:
            raise ValueError(
                f"none of the images of {found.root} has a label set in {_FILE} that is not empty"
            )
        notices = (
            *missing_from(len(found.paths), self.expected),
            *([f"the last batch of {_PUBLISHED_BATCH} only, as published"] if self.faithful else []),
            *found.notices,
        )
        labels = filled([accepted[number] for number in numbers])
        pictures = found.pictures(size).only(numbers)
        return [ImageSet(name, name, self.group, pictures, labels, found.decision, notices=notices)]


def _label_sets(found: Labelled) -> Sequence[Any]:
    """Return the label sets by file number, from 0."""
    inner = Path(found.root, found.paths[0])
    for folder in (Path(found.root), *inner.parents[:4]):
        if folder.is_dir() and (file := folder / _FILE).is_file():
            try:
                sets = json.loads(read_text(file, _BYTES))
            except (OSError, ValueError) as error:
                raise ValueError(f"{file} cannot be read: {error}") from error
            if not isinstance(sets, list):
                raise ValueError(f"{file} must be a list with a list of labels for each validation image")
            return sets
    content = pkgutil.get_data("timm.data", "_info/imagenet_real_labels.json")
    assert content is not None
    shipped: list[list[int]] = json.loads(content)
    return shipped


def _label_set(path: str, sets: Sequence[Any]) -> list[int]:
    stem = PurePosixPath(path).stem
    number = _NAME.fullmatch(stem)
    if number is None or not 1 <= int(number[1]) <= len(sets):
        raise ValueError(
            f"{printable(path)} is not called ILSVRC2012_val_######## with a number from 00000001 to "
            f"{len(sets):08}, by which {_FILE} is read"
        )
    labels = sets[int(number[1]) - 1]
    right = isinstance(labels, list) and all(
        type(label) is int and 0 <= label < IMAGENET_CLASSES for label in labels
    )
    if not right:
        raise ValueError(
            f"{_FILE} gives {printable(stem)} {labels!r}; allowed are lists of classes from 0 to 999"
        )
    return list(labels)
