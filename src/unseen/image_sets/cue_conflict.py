"""Images with the shape of one class and the texture of another (Geirhos et al., ICLR 2019)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from unseen.image_sets.class_folders import check_names, labelled_folders, missing_from
from unseen.image_sets.image_set import Group, ImageSet, Labels
from unseen.image_sets.pictures import SIDE
from unseen.wording import printable

_NAME = re.compile(r"(?P<shape>.+?)\d*-(?P<texture>.+?)\d*")  # each with its number: a picture


@dataclass(frozen=True)
class CueConflict:
    """Images in `SHAPE/SHAPE#-TEXTURE#.png`, where # is a number; of any kind of image file.

    Attributes:
        root: A folder or zip archive with the shapes' folders, or with `folder` in it; None: missing.
        group: Which mean over benchmarks it belongs to.
        folder: Where in the root the shapes' folders are, or a list of such places: the first that is there.
        class_map: A JSON file of class names and outputs, for other classes or other networks.
        expected: Number of images of the public set; another number is told as a notice.
    """

    root: str | None = None
    group: Group | None = None
    folder: str | Sequence[str] | None = "cue-conflict"
    class_map: str | None = None
    expected: int | None = 1280

    def open(self, name: str, size: int = SIDE) -> list[ImageSet]:
        """Return the one set, of which those of equal shape and texture are a part."""
        setting = f"benchmark.{name}.root"
        found = labelled_folders(self.root, setting, folder=self.folder, class_map=self.class_map)
        names = getattr(found.decision, "names", None)
        if names is None:
            raise ValueError(
                f"{setting}={found.root} has folders of ImageNet's 1,000 classes; cue-conflict images have the 16 "
                "entry-level classes, such as cat/cat1-bottle2.png"
            )
        textures = [
            _texture(path, names[label], names)
            for path, label in zip(found.paths, found.labels.tolist(), strict=True)
        ]
        return [
            ImageSet(
                name,
                name,
                self.group,
                found.pictures(size),
                found.labels[:, None],
                found.decision,
                np.array(textures, dtype=np.int64),
                (*missing_from(len(textures), self.expected), *found.notices),
                _sources(found.paths),
            )
        ]


def _sources(paths: Sequence[str]) -> Labels:
    """Return the numbers of the shape's and the texture's picture of each image, (N, 2); each makes several images."""
    pictures = [PurePosixPath(path).stem.split("-", 1) for path in paths]
    kinds = [np.unique(kind, return_inverse=True)[1] for kind in zip(*pictures, strict=True)]
    return np.column_stack(kinds).astype(np.int64)


def _texture(path: str, shape: str, names: tuple[str, ...]) -> int:
    """Return the class of the texture that a file is named after.

    Args:
        path: Of the file.
        shape: The class that its folder says, and that its name must say, too.
        names: Of the classes.

    Raises:
        ValueError: The file is called otherwise.
    """
    place = PurePosixPath(path)
    parts = _NAME.fullmatch(place.stem)
    if parts is None or parts["shape"] != shape:
        raise ValueError(
            f"{printable(path)} is not called {shape}#-TEXTURE#{place.suffix}, such as {shape}1-bottle2{place.suffix}"
        )
    check_names([parts["texture"]], names, f"texture of {printable(path)}")
    return names.index(parts["texture"])
