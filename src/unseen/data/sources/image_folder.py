"""Any images on disk: a folder (or a zip archive) with a folder for each class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from PIL import Image

from unseen.data.catalog import Catalog, Counts, Entry, ImageSource, LeftOut, Part
from unseen.data.files import LIKE_IMAGES, FileTree, FolderTree, below, open_tree, tree_at
from unseen.data.images import decode
from unseen.wording import listing

_TEST_PREFIX = "test:"  # marks references into test_root
Role = Literal["train", "test"]
# train, Training, train_images, val2017, "Test Set": but neither "trains" nor "test tube"
_ROLE = re.compile(
    r"(?:(?P<train>train(?:ing)?)|test(?:ing)?|val(?:id(?:ation)?)?|validate)"
    r"(?:[ _-]?(?:set|sets|data|images?|imgs?|pictures|photos|split))?[ _-]?\d*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ImageFolder(ImageSource):
    """Images in `root/CLASS/...`, or in `root/train/CLASS/...` and `root/test/CLASS/...` (or val, or both).

    Attributes:
        root: A folder or a zip archive.
        test_root: A second one with the test images, where they are not below `root`.
    """

    root: str | None = None
    test_root: str | None = None

    def check(self) -> None:
        """Refuse roots that are missing or empty, or no folder and no zip archive."""
        self._tree()
        if self.test_root is not None:
            open_tree(self.test_root, "data.test_root")

    def known_counts(self) -> Counts:
        """Return the number of image files by class and part."""
        return self.list().counts()

    def list(self) -> Catalog:
        """Return every file that is an image by its suffix."""
        tree = self._tree()
        layout = find_layout(tree, "data.root", str(self.root))
        divided = bool(layout.tests) or self.test_root is not None
        entries, left_out = _entries(
            tree, layout, "train" if divided else "whole", "data.root", str(self.root)
        )
        test_folders = [place.rpartition("/")[2] for place in layout.tests]
        for place, name in zip(layout.tests, test_folders, strict=True):
            more, others = class_entries(tree, place, "test")
            if self.test_root is None:
                entries, left_out = entries + more, left_out + others
            else:
                left_out[LeftOut(f"in {name}, because data.test_root is given")] = len(more)
        if self.test_root is None:
            return Catalog.of(entries, left_out, test_folders)
        setting, root = "data.test_root", self.test_root
        tree = open_tree(root, setting)
        layout = find_layout(tree, setting, root)
        if layout.tests:
            raise ValueError(
                f"{setting}={root} has training images, too, in {layout.train!r}; write the folder with the test "
                f"images, {setting}={root.rstrip('/')}/{layout.tests[0]}"
            )
        more, others = _entries(tree, layout, "test", setting, root)
        entries += [entry._replace(reference=_TEST_PREFIX + entry.reference) for entry in more]
        return Catalog.of(entries, left_out + others)

    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB."""
        root, path = self._place(reference)
        return decode(tree_at(root).read(path))

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return a text for each file that changes with its content, or None (see `ImageSource`)."""
        places = [self._place(reference) for reference in references]
        stamp_of: dict[tuple[str, str], str] = {}
        for root in {root for root, _ in places}:
            paths = [path for where, path in places if where == root]
            stamps = tree_at(root).stamps(paths)
            if stamps is None:
                return None
            stamp_of |= {(root, path): stamp for path, stamp in zip(paths, stamps, strict=True)}
        return [stamp_of[place] for place in places]

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


def _entries(
    tree: FileTree, layout: Layout, part: Part, setting: str, root: str
) -> tuple[list[Entry], Counter[LeftOut]]:
    """Return the images of the class folders that are not test images, and what else is in all of the root."""
    entries, left_out = class_entries(tree, layout.train, part, setting)
    if not entries:
        where = f" in {layout.train!r}" if layout.train else ""
        raise ValueError(f"{setting}={root} has no class folders{where}; put each class's images in a folder")
    return entries, left_out + beside(tree, layout)


def class_entries(
    tree: FileTree, where: str, part: Part, setting: str = "data.root"
) -> tuple[list[Entry], Counter[LeftOut]]:
    """Return the images of the class folders in `where`, and what else is there.

    A folder without any image is no class. A folder in a class that cannot be opened is an entry: like any bad file
    it is refused, or skipped, when it is read.

    Raises:
        ValueError: A class folder that cannot be opened, or whose pictures are all of kinds that are not read.
    """
    entries: list[Entry] = []
    loose = tree.find(where, deep=False)
    left_out = _within("", loose.left_out) + Counter({LeftOut("outside any class folder"): len(loose.images)})
    for name in tree.folders(where):
        folder = below(where, name)
        found = tree.find(folder)
        if folder in found.unreadable:
            raise ValueError(
                f"class folder {folder!r} of {setting} cannot be opened; mend its rights or move it away"
            )
        if found.images or found.unreadable:
            entries += [Entry(path, name, part) for path in [*found.images, *found.unreadable]]
            left_out += _within(name, found.left_out)
        elif unread := sorted(set(found.left_out) & LIKE_IMAGES):
            raise ValueError(
                f"class folder {folder!r} of {setting} has no image that can be read: its files are "
                f"{listing(unread)}; convert them to .png or .jpg, or move the folder away"
            )
        else:
            left_out[LeftOut("without an image", name)] = 1 + sum(found.left_out.values())
    return entries, left_out


class Layout(NamedTuple):
    """Where class folders lie: in `train` (the whole, if there is no test folder), and in each of `tests`."""

    train: str
    tests: tuple[str, ...] = ()


def role(name: str) -> Role | None:
    """Return what a folder of this name holds of a data set, None if it may be a class.

    >>> role("Train"), role("val2017"), role("Test Set"), role("trains")
    ('train', 'test', 'test', None)
    """
    found = _ROLE.fullmatch(name)
    return None if found is None else "train" if found["train"] else "test"


def find_layout(tree: FileTree, setting: str, root: str) -> Layout:
    """Return where the class folders are.

    Around everything may lie folders that hold nothing but one folder and stray files, as in archives of a folder.

    Raises:
        ValueError: Folders with training or test images lie beside others with images, or lack their counterpart.
    """
    top = _inner(tree)
    folders = tree.folders(top)
    train = [name for name in folders if role(name) == "train"]
    tests = [name for name in folders if role(name) == "test"]
    if not train and not tests:
        return Layout(top)
    others = [name for name in folders if role(name) is None and _has_pictures(tree, below(top, name))]
    if len(train) == 1 and not others:
        places = [_unwrapped(tree, below(top, name)) for name in (*train, *tests)]
        return Layout(places[0], tuple(places[1:]))
    if not tests and len(train) == 1 and tree.find(below(top, train[0]), deep=False).images:
        return Layout(top)  # a class called train, with its pictures in it
    if not train and len(folders) == 1:
        return Layout(below(top, tests[0]) if tree.folders(below(top, tests[0])) else top)
    names, where = listing([*train, *tests], shown=6), f" in {top!r}" if top else ""
    if others:
        problem = (
            f"{names} beside {listing(others, shown=6)}{where}: either a division into training and test images or "
            "class folders, but not both"
        )
    elif not train:
        problem = f"{names}{where}, but no folder train beside them"
    else:
        problem = f"several folders with training images{where}: {listing(train)}"
    advice = "move what does not belong there away, or rename classes that are called so"
    if train and tests and not top and setting == "data.root" and isinstance(tree, FolderTree):
        base = root.rstrip("/")
        advice += f", or write data.root={base}/{train[0]} data.test_root={base}/{tests[0]}"
    raise ValueError(f"{setting}={root} has {problem}; {advice}")


def _inner(tree: FileTree) -> str:
    """Return the root, or the only folder in it as long as that has folders and no image of its own."""
    top = ""
    while len(folders := tree.folders(top)) == 1 and role(folders[0]) is None:
        inside = below(top, folders[0])
        if not tree.folders(inside) or tree.find(inside, deep=False).images:
            break
        top = inside
    return top


def _unwrapped(tree: FileTree, folder: str) -> str:
    """Return a training or test folder, or the only folder in it if that has such a name, too."""
    inside = tree.folders(folder)
    if len(inside) == 1 and role(inside[0]) == role(folder.rpartition("/")[2]):
        return below(folder, inside[0])
    return folder


def _has_pictures(tree: FileTree, folder: str) -> bool:
    found = tree.find(folder)
    return bool(found.images or found.unreadable or set(found.left_out) & LIKE_IMAGES)


def beside(tree: FileTree, layout: Layout) -> Counter[LeftOut]:
    """Return what lies beside the folders on the way to the class folders."""
    places = (layout.train, *layout.tests)
    above = {place[:end] for place in places for end, letter in enumerate(place) if letter == "/"}
    left_out: Counter[LeftOut] = Counter()
    for folder in above | {""} if layout.train else set():
        found = tree.find(folder, deep=False)
        on_the_way = {place.removeprefix(folder).strip("/").partition("/")[0] for place in places}
        empty = [name for name in tree.folders(folder) if name not in on_the_way]
        left_out += _within("", found.left_out)
        left_out += Counter({LeftOut("outside any class folder"): len(found.images)})
        left_out += Counter({LeftOut("without an image", name): 1 for name in empty})
    return left_out


def _within(class_name: str, reasons: Mapping[str, int]) -> Counter[LeftOut]:
    return Counter({LeftOut(reason, class_name): number for reason, number in reasons.items()})
