"""Any images on disk: a folder (or a zip archive) with a folder for each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from unseen.data.catalog import Catalog, Counts, Entry
from unseen.data.divisions import beside, find_layout
from unseen.data.file_tree import FileTree
from unseen.data.files import class_entries, open_tree, tree_at
from unseen.data.images import decode
from unseen.data.left_out import LeftOut

_TEST_PREFIX = "test:"  # marks references into test_root


@dataclass(frozen=True)
class ImageFolder:
    """Images in `root/CLASS/...`, or in `root/train/CLASS/...` and `root/test/CLASS/...` (or val, or both).

    Attributes:
        root: A folder or a zip archive.
        test_root: A second one with the test images, where they are not below `root`.
        default_unseen: Classes held out when the user names none.
        default_seen: Classes trained on when the user names none.
    """

    root: str | None = None
    test_root: str | None = None
    default_unseen: tuple[str, ...] | None = None
    default_seen: tuple[str, ...] | None = None

    def check(self) -> None:
        """Refuse roots that are missing or empty, or no folder and no zip archive."""
        self._tree()
        if self.test_root is not None:
            open_tree(self.test_root, "data.test_root")

    def known_classes(self) -> tuple[str, ...]:
        """Return the names of the class folders."""
        return self.list().classes()

    def known_counts(self) -> Counts:
        """Return the number of image files by class and part."""
        return self.list().counts()

    def prepare(self) -> None:
        """Nothing is downloaded."""

    def list(self) -> Catalog:
        """Return every file that is an image by its suffix.

        Raises:
            ValueError: The data are not there or not laid out as they must be.
        """
        tree = self._tree()
        layout = find_layout(tree, "data.root", str(self.root))
        divided = bool(layout.tests) or self.test_root is not None
        entries, left_out = class_entries(tree, layout.train, "train" if divided else "whole")
        left_out += beside(tree, layout)
        if not entries:
            where = f" in {layout.train!r}" if layout.train else ""
            raise ValueError(
                f"data.root={self.root} has no class folders{where}; put each class's images in a folder"
            )
        test_folders = [place.rpartition("/")[2] for place in layout.tests]
        for place, name in zip(layout.tests, test_folders, strict=True):
            more, others = class_entries(tree, place, "test")
            if self.test_root is not None:
                left_out[LeftOut(f"in {name}, because data.test_root is given")] = len(more)
            else:
                entries, left_out = entries + more, left_out + others
        if self.test_root is not None:
            more, others = _other_test_images(self.test_root)
            entries, left_out, test_folders = entries + more, left_out + others, []
        return Catalog.of(entries, left_out, test_folders)

    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB.

        Raises:
            BadImageError: The file is no usable image.
        """
        root, path = self._place(reference)
        return decode(tree_at(root).read(path))

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return what changes with the content of each file, or None where that cannot be told."""
        places = [self._place(reference) for reference in references]
        found: dict[tuple[str, str], str] = {}
        for root in {root for root, _ in places}:
            paths = [path for where, path in places if where == root]
            stamps = tree_at(root).stamps(paths)
            if stamps is None:
                return None
            found |= {(root, path): stamp for path, stamp in zip(paths, stamps, strict=True)}
        return [found[place] for place in places]

    def _place(self, reference: str) -> tuple[str, str]:
        """Return the root of an image and its path from there."""
        assert self.root is not None
        if self.test_root is not None and reference.startswith(_TEST_PREFIX):
            return self.test_root, reference.removeprefix(_TEST_PREFIX)
        return self.root, reference

    def _tree(self) -> FileTree:
        if self.root is None:
            raise ValueError(
                "data.root is missing: write data.root=path/to/images, a folder with a folder for each class"
            )
        return open_tree(self.root)


def _other_test_images(root: str) -> tuple[list[Entry], Counter[LeftOut]]:
    """Return the images in a root of their own, and what else is there."""
    setting = "data.test_root"
    tree = open_tree(root, setting)
    layout = find_layout(tree, setting, root)
    if layout.tests:
        raise ValueError(
            f"{setting}={root} has training images, too, in {layout.train!r}; write the folder with the test "
            f"images, {setting}={root.rstrip('/')}/{layout.tests[0]}"
        )
    entries, left_out = class_entries(tree, layout.train, "test", setting)
    if not entries:
        raise ValueError(f"{setting}={root} has no class folders; put each class's images in a folder")
    marked = [entry._replace(reference=_TEST_PREFIX + entry.reference) for entry in entries]
    return marked, left_out + beside(tree, layout)
