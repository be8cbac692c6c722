"""Is this a face? Grey cut-outs of photographs that come with scikit-image; no download.

100 faces of Labeled Faces in the Wild (Huang et al., 2012), and 100 cut-outs of the background of the same photographs,
25 x 25 pixels: `skimage.data.lfw_subset`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.data.catalog import Catalog, DataUnavailableError, Entry
from unseen.data.sources.packaged import PackagedSource, folder_of

CLASSES = ("face", "background")  # as they follow one another in the file
OF_EACH = 100


@dataclass(frozen=True, kw_only=True)
class Faces(PackagedSource):
    """The classes face and background; not divided into training and test images."""

    def check(self) -> None:
        """Refuse a root, and a package that is missing."""
        self.refuse_root("faces", "images come with scikit-image")
        if find_spec("skimage") is None:
            raise DataUnavailableError(
                "data=faces needs scikit-image, which brings the images: pip install 'unseen[samples]'"
            )

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
    pixels: npt.NDArray[np.floating] = np.load(folder_of("skimage") / "data" / "lfw_subset.npy")
    return pixels
