"""The pictures that ship with scikit-image and scikit-learn and show one of ImageNet's classes: for a first try."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from unseen.data.canvases import Names
from unseen.image_sets.class_folders import MissingImagesError
from unseen.image_sets.decisions import AllClasses
from unseen.image_sets.image_set import Group, ImageSet, filled
from unseen.image_sets.pictures import SIDE, FilePictures
from unseen.wording import listing

# The other pictures show nothing of the 1,000 classes (astronaut, coins), or one that is not clear: a motorcycle, which
# is neither moped nor motor scooter, a rocket that is no missile, a flower that is none of the few.
_SAMPLES: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("skimage", "data/chelsea.png", (281, 282, 285)),  # a striped cat: tabby, tiger cat or Egyptian cat
    ("skimage", "data/coffee.png", (967, 968)),  # espresso in a cup
    ("sklearn", "datasets/images/china.jpg", (698,)),  # a tower of the Summer Palace: palace
)


@dataclass(frozen=True)
class Samples:
    """A cat, an espresso and a palace, right for any class that people would call them; no network is told by three.

    Attributes:
        group: Which mean over benchmarks it belongs to.
    """

    group: Group | None = None

    def open(self, name: str, size: int = SIDE) -> list[ImageSet]:
        """Return the one set, of what is installed."""
        folders = {package: _folder(package) for package, _, _ in _SAMPLES}
        absent = [package for package, folder in folders.items() if folder is None]
        there = [
            (folder / file, classes)
            for package, file, classes in _SAMPLES
            if (folder := folders[package]) is not None and (folder / file).is_file()
        ]
        if not there:
            raise MissingImagesError("scikit-image and scikit-learn, which ship pictures, are not installed")
        root = os.path.commonpath([path.parent for path, _ in there])
        accepted = filled([classes for _, classes in there])
        pictures = FilePictures(root, Names(os.path.relpath(path, root) for path, _ in there), size)
        notices = (
            (f"of {len(_SAMPLES)} pictures those of {listing(absent)} are not installed",) if absent else ()
        )
        return [ImageSet(name, name, self.group, pictures, accepted, AllClasses(), notices=notices)]


def _folder(package: str) -> Path | None:
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent
