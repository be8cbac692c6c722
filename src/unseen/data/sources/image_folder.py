"""Any images on disk: a folder (or a zip archive) with a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from unseen.data.catalog import Catalog, Counts, Part
from unseen.data.files import FileTree, class_entries, open_tree, tree_at
from unseen.data.images import decode

_TEST_NAMES = ("test", "val", "valid", "validation")
_TEST_PREFIX = "test:"  # marks references into test_root


@dataclass(frozen=True)
class ImageFolder:
    """Images in `root/CLASS/...`, or in `root/train/CLASS/...` and `root/test/CLASS/...` (or val).

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
        top = _inner(tree)
        below = f"{top}/" if top else ""
        folders = tree.folders(top)
        own_test = [name for name in folders if name.lower() in _TEST_NAMES]
        divided = "train" in folders and len(folders) == 1 + len(own_test)
        train_part: Part = "train" if self.test_root is not None or (divided and own_test) else "whole"
        entries, ignored = class_entries(tree, f"{below}train" if divided else top, train_part)
        for name in own_test if divided and self.test_root is None else ():
            more, others = class_entries(tree, f"{below}{name}", "test")
            entries, ignored = entries + more, ignored + others
        if self.test_root is not None:
            test_tree = open_tree(self.test_root, "data.test_root")
            more, others = class_entries(test_tree, _inner(test_tree), "test", "data.test_root")
            entries += [entry._replace(reference=_TEST_PREFIX + entry.reference) for entry in more]
            ignored += others
        if not entries:
            raise ValueError(
                f"data.root={self.root} has no class folders; put each class's images in a folder"
            )
        return Catalog.of(entries, ignored)

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


def _inner(tree: FileTree) -> str:
    """Return the folder with the class folders: the root, or the only folder in it if that has only folders.

    Archives of a folder have such an extra level.
    """
    top, folders = "", tree.folders()
    while (
        len(folders) == 1
        and tree.folders(f"{top}{folders[0]}")
        and not tree.files(f"{top}{folders[0]}", deep=False)
    ):
        if folders[0] == "train":
            break
        top = f"{top}{folders[0]}/"
        folders = tree.folders(top.rstrip("/"))
    return top.rstrip("/")
