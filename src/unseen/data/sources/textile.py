"""Simulated close-ups of a fabric, without a defect or with one (Megahed et al., arXiv 2501.12596; MIT licence).

A pip package has them, conformal-clip-data: 1,000 without a defect, 500 with one in a place, 500 with one everywhere;
250 x 250 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from unseen.data.catalog import Catalog, Counts, DataUnavailableError, ImageSource
from unseen.data.sources.image_folder import ImageFolder

_PACKAGE = "conformal_clip_data"


@dataclass(frozen=True, kw_only=True)
class Textile(ImageSource):
    """The classes nominal, local and global; not divided into training and test images.

    Attributes:
        root: Must be None; the images come with the package.
    """

    root: str | None = None

    def check(self) -> None:
        """Refuse a root, and a package that is missing."""
        if self.root is not None:
            raise ValueError(
                f"data.root={self.root} has no meaning for data=textile, whose images pip installs; "
                "for your own images use data=image_folder"
            )
        if find_spec(_PACKAGE) is None:
            raise DataUnavailableError(
                "data=textile needs the package conformal-clip-data: pip install conformal-clip-data==0.1.4"
            )

    def known_counts(self) -> Counts:
        """Return the number of images of each class."""
        return self._folder.known_counts()

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
        package = find_spec(_PACKAGE)
        assert package is not None
        assert package.origin is not None
        return ImageFolder(root=str(Path(package.origin).parent / "data" / "textile_images" / "simulated"))
