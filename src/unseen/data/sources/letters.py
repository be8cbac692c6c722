"""A capital letter in one of 25 open typefaces, drawn from fonts that pip installs: which letter is it?"""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from unseen.data.catalog import Catalog, Entry
from unseen.data.sources.packaged import PackagedSource
from unseen.data.sources.typefaces import FACES, Typefaces, check_fonts, drawn, stamps_of

TESTED = Typefaces.default_unseen or ()  # faces of five families that no training image is of
_OF_EACH = {"train": 2, "test": 4}  # pictures of a letter in a face


@dataclass(frozen=True, kw_only=True)
class Letters(PackagedSource):
    """40 training images of each letter in 20 faces, 20 test images in five others; the same ones in every run."""

    def check(self) -> None:
        """Refuse a root, and fonts that are missing."""
        check_fonts("letters", self)

    def list(self) -> Catalog:
        """Return all images."""
        return Catalog.of(
            [
                Entry(f"{letter}/{face}/{i}", letter, part)
                for letter in string.ascii_uppercase
                for face in FACES
                for part in ("test" if face in TESTED else "train",)
                for i in range(_OF_EACH[part])
            ]
        )

    def read(self, reference: str) -> Image.Image:
        """Draw a picture, 64 x 64 pixels, as RGB."""
        letter, face, _ = reference.split("/")
        return drawn(face, letter, random.Random(reference))

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return for each image the stamp of its font's file, and the version of what draws it."""
        return stamps_of([reference.split("/")[1] for reference in references])
