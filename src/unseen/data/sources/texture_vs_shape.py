"""Filled silhouettes, edges and cue-conflict images of 16 kinds of objects (Geirhos et al., ICLR 2019, CC BY 4.0).

They are in the public repository rgeirhos/texture-vs-shape: 160 silhouettes and 160 edge drawings, ten of each class,
and 1,280 images with the shape of one class and the texture of another one or of the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image

from unseen.data.catalog import Catalog, Counts, DataUnavailableError, Entry, ImageSource, Part
from unseen.data.files import FileTree, below, open_tree, tree_at
from unseen.data.images import decode
from unseen.data.sources.image_folder import class_entries
from unseen.wording import printable

URL = "https://github.com/rgeirhos/texture-vs-shape"
_FOLDERS = {
    "silhouettes": ("stimuli/filled-silhouettes", "silhouettes"),
    "edges": ("stimuli/edges", "edges"),
    "cue_conflict": ("stimuli/style-transfer-preprocessed-512", "cue-conflict"),
}
_PICTURE = re.compile(r"(?P<class_name>\D+)(?P<number>\d+)")
# Pictures with higher numbers are test images, whatever was made of them: no object that is tested on is trained on.
_LAST_OF_TRAINING = {"shape": 6, "texture": 2}  # of 10 and of 3


@dataclass(frozen=True, kw_only=True)
class TextureVsShape(ImageSource):
    """One of the sets, divided into training and test images by the picture that each was made of.

    Silhouettes, edges and the shapes of cue-conflict images were made of the same 160 pictures of objects: those
    numbered 1 to 6 of each class give training images, 7 to 10 test images. Of textures 1 and 2 do, and 3.

    Attributes:
        root: A clone of the repository, or a folder or zip archive of the folders silhouettes, edges and cue-conflict.
        show: Which set.
        label: What the class of a cue-conflict image is: that of its shape or that of its texture.
    """

    root: str | None = None
    show: Literal["silhouettes", "edges", "cue_conflict"] = "silhouettes"
    label: Literal["shape", "texture"] = "shape"

    def check(self) -> None:
        """Refuse a set or label that is not known, and a root without the set."""
        if self.show not in _FOLDERS:
            raise ValueError(f"data.source.show={self.show!r} is not one of {', '.join(_FOLDERS)}")
        if self.label not in _LAST_OF_TRAINING or (self.label == "texture" and self.show != "cue_conflict"):
            raise ValueError(
                f"data.source.label={self.label!r} must be shape, or texture with data.source.show=cue_conflict"
            )
        self._tree()

    def known_counts(self) -> Counts:
        """Return the number of images by class and part."""
        return self.list().counts()

    def list(self) -> Catalog:
        """Return every image."""
        tree, where = self._tree()
        found, left_out = class_entries(tree, where, "whole")
        return Catalog.of([self._labelled(entry.reference) for entry in found], left_out)

    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB."""
        assert self.root is not None
        return decode(tree_at(self.root).read(reference))

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return a text for each file that changes with its content, or None (see `ImageSource`)."""
        assert self.root is not None
        return tree_at(self.root).stamps(references)

    def _tree(self) -> tuple[FileTree, str]:
        """Return the root and the folder in it that has the class folders."""
        missing = f"; get the images by git clone --depth 1 {URL} data/cue_conflict, or name their folder by data.root"
        if self.root is None or not Path(self.root).expanduser().exists():
            raise DataUnavailableError(f"data.root={self.root} does not exist{missing}")
        tree = open_tree(self.root)
        folders = tree.folders()
        # an archive of the repository has a folder around everything
        top = folders[0] if len(folders) == 1 else ""
        for path in _FOLDERS[self.show]:
            first, _, inner = path.partition("/")
            for outer in dict.fromkeys(("", top)):
                where = below(outer, first)
                if first in tree.folders(outer) and (not inner or inner in tree.folders(where)):
                    return tree, below(outer, path)
        raise DataUnavailableError(
            f"data.root={self.root} has no folder {' or '.join(_FOLDERS[self.show])}{missing}"
        )

    def _labelled(self, path: str) -> Entry:
        """Return an image's entry by its name: cat7.png, or cat7-elephant1.png."""
        pictures = PurePosixPath(path).stem.split("-")
        names = ("shape", "texture")[: 2 if self.show == "cue_conflict" else 1]
        parts = [_PICTURE.fullmatch(picture) for picture in pictures]
        if len(parts) != len(names) or None in parts:
            example = "cat7-elephant1.png" if self.show == "cue_conflict" else "cat7.png"
            raise ValueError(f"{printable(path)} is not called as in {URL}, such as {example}")
        chosen = parts[names.index(self.label)]
        assert chosen is not None
        part: Part = "train" if int(chosen["number"]) <= _LAST_OF_TRAINING[self.label] else "test"
        return Entry(path, chosen["class_name"], part)
