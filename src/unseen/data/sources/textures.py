"""Which material is this? Patches of six grey photographs that come with scikit-image; no download.

Brick, grass and gravel are under CC0, the deep field is in the public domain (NASA), of the stained tissue no
restrictions are known; `skimage.data` names the sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

from PIL import Image

from unseen.data.catalog import Catalog, DataUnavailableError, Entry
from unseen.data.sources.packaged import PackagedSource, folder_of

PHOTOGRAPHS = {  # class: file of skimage.data, 512 x 512 pixels at least
    "brick": "brick.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "lunar surface": "moon.png",
    "stained tissue": "ihc.png",
    "star field": "hubble_deep_field.jpg",
}
SIDE = 512  # of the part of each photograph that patches are cut from
_TRAINING = 0.6  # of its width, from the left


@dataclass(frozen=True, kw_only=True)
class Textures(PackagedSource):
    """Square patches side by side, without overlap; the left three fifths of a photograph give the training images.

    All are grey, because some of the photographs are. A class is one photograph: how its patches are told from others
    says little of other photographs of such a material.

    Attributes:
        patch_size: Side of a patch in pixels. 48: 60 training and 40 test images of each class.
    """

    patch_size: int = 48

    def check(self) -> None:
        """Refuse a root, a size that leaves too few patches, and photographs that are not there."""
        self.refuse_root("textures", "photographs come with scikit-image")
        if not 8 <= self.patch_size <= SIDE // 4:
            raise ValueError(f"data.patch_size={self.patch_size} must lie between 8 and {SIDE // 4}")
        if find_spec("skimage") is None:
            raise DataUnavailableError(
                "data=textures needs scikit-image, which brings the photographs: pip install 'unseen[samples]'"
            )

    def list(self) -> Catalog:
        """Return all patches."""
        across = SIDE // self.patch_size
        for_training = round(_TRAINING * across)
        return Catalog.of(
            [
                Entry(f"{name}/{row:02d}/{column:02d}", name, "train" if column < for_training else "test")
                for name in PHOTOGRAPHS
                for row in range(across)
                for column in range(across)
            ]
        )

    def read(self, reference: str) -> Image.Image:
        """Return a patch as RGB."""
        name, row, column = reference.split("/")
        left, top = int(column) * self.patch_size, int(row) * self.patch_size
        return (
            _photograph(name).crop((left, top, left + self.patch_size, top + self.patch_size)).convert("RGB")
        )


@lru_cache(maxsize=len(PHOTOGRAPHS))
def _photograph(name: str) -> Image.Image:
    """Return the part of a photograph that patches are cut from, grey."""
    with Image.open(folder_of("skimage") / "data" / PHOTOGRAPHS[name]) as image:
        return image.convert("L").crop((0, 0, SIDE, SIDE))
