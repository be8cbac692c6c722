"""Simulated close-ups of a fabric, without a defect or with one (Megahed et al., arXiv 2501.12596; MIT licence).

A pip package has them, conformal-clip-data: 1,000 without a defect, 500 with one in a place, 500 with one everywhere;
250 x 250 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec

from PIL import Image

from unseen.data.catalog import Catalog, DataUnavailableError
from unseen.data.sources.image_folder import ImageFolder
from unseen.data.sources.packaged import PackagedSource, folder_of

_PACKAGE = "conformal_clip_data"


@dataclass(frozen=True, kw_only=True)
class Textile(PackagedSource):
    """The classes nominal, local and global; not divided into training and test images."""

    def check(self) -> None:
        """Refuse a root, and a package that is missing."""
        self.refuse_root("textile", "images pip installs")
        if find_spec(_PACKAGE) is None:
            raise DataUnavailableError(
                "data=textile needs the package conformal-clip-data: pip install conformal-clip-data==0.1.4"
            )

    def list(self) -> Catalog:
        """Return all images."""
        return self._folder.list()

    def read(self, reference: str) -> Image.Image:
        """Return an image as RGB."""
        return self._folder.read(reference)

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return a text for each file that changes with its content (see `ImageSource`)."""
        return self._folder.stamps(references)

    @cached_property
    def _folder(self) -> ImageFolder:
        return ImageFolder(root=str(folder_of(_PACKAGE) / "data" / "textile_images" / "simulated"))
