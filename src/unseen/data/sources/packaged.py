"""What sources have in common whose images, or the fonts that draw them, come with a package that pip installs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from unseen.data.catalog import Counts, ImageSource


@dataclass(frozen=True, kw_only=True)
class PackagedSource(ImageSource):
    """A source that needs no place of the user's: its images are listed without opening any.

    Attributes:
        root: Must be None.
    """

    root: str | None = None

    def known_counts(self) -> Counts:
        """Return the number of images by class and part."""
        return self.list().counts()

    def refuse_root(self, data: str, whose: str) -> None:
        """Raise ValueError for a root; `data` is the name of the data set, `whose` says where its images are from."""
        if self.root is not None:
            raise ValueError(
                f"data.root={self.root} has no meaning for data={data}, whose {whose}; "
                "for your own images use data=image_folder"
            )


def folder_of(package: str) -> Path:
    """Return the folder of a package that is installed, which is not imported."""
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent
