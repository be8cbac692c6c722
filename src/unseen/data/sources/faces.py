"""Is this a face? Grey cut-outs of photographs that come with scikit-image; no download.

100 faces of Labeled Faces in the Wild (Huang et al., 2012), and 100 cut-outs of the background of the same photographs,
25 x 25 pixels: `skimage.data.lfw_subset`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.data.catalog import Catalog, Counts, DataUnavailableError, Entry, ImageSource

CLASSES = ("face", "background")  # as they follow one another in the file
OF_EACH = 100


@dataclass(frozen=True, kw_only=True)
class Faces(ImageSource):
    """The classes face and background; not divided into training and test images.

    Attributes:
        root: Must be None; the images come with scikit-image.
    """

    root: str | None = None

    def check(self) -> None:
        """Refuse a root, and a package that is missing."""
        if self.root is not None:
            raise ValueError(
                f"data.root={self.root} has no meaning for data=faces, whose images come with scikit-image; "
                "for your own images use data=image_folder"
            )
        if find_spec("skimage") is None:
            raise DataUnavailableError(
                "data=faces needs scikit-image, which brings the images: pip install 'unseen[samples]'"
            )

    def known_counts(self) -> Counts:
        """Return the number of images of each class."""
        return {name: {"whole": OF_EACH} for name in CLASSES}

    def list(self) -> Catalog:
        """Return all images."""
        return Catalog.of(
            [Entry(f"{name}/{i:02d}", name, "whole") for name in CLASSES for i in range(OF_EACH)]
        )

    def read(self, reference: str) -> Image.Image:
        """Return an image as RGB."""
        name, i = reference.split("/")
        grey = _pixels()[CLASSES.index(name) * OF_EACH + int(i)]
        return Image.fromarray(np.round(255 * grey).astype(np.uint8)).convert("RGB")


@cache
def _pixels() -> npt.NDArray[np.floating]:
    """Return all images, (200, 25, 25), from 0 to 1."""
    package = find_spec("skimage")
    assert package is not None
    assert package.origin is not None
    pixels: npt.NDArray[np.floating] = np.load(Path(package.origin).parent / "data" / "lfw_subset.npy")
    return pixels
