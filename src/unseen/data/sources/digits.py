"""Real handwritten digits that come with scikit-learn: 1,797 pictures of 8 x 8 pixels, no download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from unseen.data.catalog import Catalog, Entry
from unseen.data.sources.packaged import PackagedSource

_BRIGHTEST = 16  # the pixels are 0 (paper) to 16 (ink)


@dataclass(frozen=True, kw_only=True)
class Digits(PackagedSource):
    """The digits 0 to 9, dark ink on white paper so that the white padding continues the paper.

    Attributes:
        default_unseen: The last three digits, not picked by result.

    >>> len(Digits().list().entries)
    1797
    """

    default_unseen: tuple[str, ...] | None = ("7", "8", "9")

    def check(self) -> None:
        """Refuse a root."""
        self.refuse_root("digits", "images come with scikit-learn")

    def list(self) -> Catalog:
        """Return all images; they are not divided into training and test images."""
        _, labels = _load()
        return Catalog.of([Entry(f"{i:04d}", str(label), "whole") for i, label in enumerate(labels)])

    def read(self, reference: str) -> Image.Image:
        """Return an 8 x 8 picture as RGB."""
        pictures, _ = _load()
        return Image.fromarray(pictures[int(reference)]).convert("RGB")


@lru_cache(maxsize=1)
def _load() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return pictures (N, 8, 8) and labels (N,)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    ink = np.rint(bunch.images * (255 / _BRIGHTEST)).astype(np.uint8)
    return 255 - ink, bunch.target.astype(np.int64)
