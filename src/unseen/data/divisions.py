"""Folders that divide images into training and test images, told from class folders by their names."""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal, NamedTuple

from unseen.data.file_tree import FileTree
from unseen.data.files import FolderTree
from unseen.data.left_out import LIKE_IMAGES, LeftOut, within
from unseen.wording import listing

Role = Literal["train", "test"]
# train, Training, train_images, val2017, "Test Set": but neither "trains" nor "test tube"
_ROLE = re.compile(
    r"(?:(?P<train>train(?:ing)?)|test(?:ing)?|val(?:id(?:ation)?)?|validate)"
    r"(?:[ _-]?(?:set|sets|data|images?|imgs?|pictures|photos|split))?[ _-]?\d*",
    re.IGNORECASE,
)


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

    Args:
        tree: The files.
        setting: What the root is called in messages.
        root: As typed.

    Raises:
        ValueError: Folders with training or test images lie beside others with images, or lack their counterpart.
    """
    top = _inner(tree)
    folders = tree.folders(top)
    train = [name for name in folders if role(name) == "train"]
    tests = [name for name in folders if role(name) == "test"]
    if not train and not tests:
        return Layout(top)
    others = [name for name in folders if role(name) is None and _has_pictures(tree, _join(top, name))]
    if len(train) == 1 and not others:
        inside = {name: _unwrapped(tree, _join(top, name)) for name in (*train, *tests)}
        return Layout(inside[train[0]], tuple(inside[name] for name in tests))
    if not tests and len(train) == 1 and tree.find(_join(top, train[0]), deep=False).images:
        return Layout(top)  # the vehicle: a class among others, with its pictures in it
    if not train and len(folders) == 1:
        return Layout(_join(top, tests[0]) if tree.folders(_join(top, tests[0])) else top)
    raise ValueError(_mixture(tree, setting, root, top, (train, tests, others)))


def _mixture(
    tree: FileTree, setting: str, root: str, top: str, names: tuple[list[str], list[str], list[str]]
) -> str:
    train, tests, others = names
    parts = listing([*train, *tests], shown=6)
    where = f" in {top!r}" if top else ""
    if others:
        problem = f"{parts} beside {listing(others, shown=6)}{where}: either a division into training and test images"
        problem += " or class folders, but not both"
    elif not train:
        problem = f"{parts}{where}, but no folder train beside them"
    else:
        problem = f"several folders with training images{where}: {listing(train)}"
    advice = "move what does not belong there away, or rename classes that are called so"
    if train and tests and not top and setting == "data.root" and isinstance(tree, FolderTree):
        base = root.rstrip("/")
        advice += f", or write data.root={base}/{train[0]} data.test_root={base}/{tests[0]}"
    return f"{setting}={root} has {problem}; {advice}"


def _inner(tree: FileTree) -> str:
    """Return the root, or the only folder in it as long as that has folders and no image of its own."""
    top = ""
    while len(folders := tree.folders(top)) == 1 and role(folders[0]) is None:
        inside = _join(top, folders[0])
        if not tree.folders(inside) or tree.find(inside, deep=False).images:
            break
        top = inside
    return top


def _unwrapped(tree: FileTree, folder: str) -> str:
    """Return a training or test folder, or the only folder in it if that is called like one, too."""
    inside = tree.folders(folder)
    if len(inside) == 1 and role(inside[0]) == role(folder.rpartition("/")[2]):
        return _join(folder, inside[0])
    return folder


def _has_pictures(tree: FileTree, folder: str) -> bool:
    found = tree.find(folder)
    return bool(found.images or found.unreadable or set(found.left_out) & LIKE_IMAGES)


def _join(top: str, name: str) -> str:
    return f"{top}/{name}" if top else name


def beside(tree: FileTree, layout: Layout) -> Counter[LeftOut]:
    """Return what lies beside the folders on the way to the class folders."""
    places = (layout.train, *layout.tests)
    above = {place[:end] for place in places for end, letter in enumerate(place) if letter == "/"}
    left_out: Counter[LeftOut] = Counter()
    for folder in above | {""} if layout.train else set():
        found = tree.find(folder, deep=False)
        left_out += within("", found.left_out)
        left_out += Counter({LeftOut("outside any class folder"): len(found.images)})
        on_the_way = {place.removeprefix(folder).strip("/").partition("/")[0] for place in places}
        empty = [name for name in tree.folders(folder) if name not in on_the_way]
        left_out += Counter({LeftOut("without an image", name): 1 for name in empty})
    return left_out
