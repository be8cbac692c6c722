"""Which class the folders of a set stand for: ImageNet's, the 16 entry-level ones, or those of a map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from unseen.data.canvases import Names
from unseen.data.catalog import left_out_sentence
from unseen.data.files import FileTree, below, open_tree, reason_for_name
from unseen.data.sources.image_folder import class_entries
from unseen.image_sets.decisions import AllClasses, Decision, GroupedClasses, imagenet_subset, sixteen
from unseen.image_sets.image_set import Labels
from unseen.image_sets.pictures import FilePictures
from unseen.image_sets.tables import IMAGENET_CLASSES, entry_classes, kept_classes, wordnet_ids
from unseen.wording import count, listing, suggestion

Subset = Literal["imagenet_a", "imagenet_r"]


class MissingImagesError(ValueError):
    """The images of a set are not on this machine; the message says where they were looked for."""


@dataclass(frozen=True)
class Labelled:
    """Labelled image files.

    Attributes:
        root: The folder or archive in which they are.
        paths: N paths in it, sorted by label.
        labels: (N,).
        decision: Among which classes.
        notices: What a reader of values should know; sentences.
    """

    root: str
    paths: tuple[str, ...]
    labels: Labels
    decision: Decision
    notices: tuple[str, ...]

    def pictures(self, size: int) -> FilePictures:
        """Return the pixels of the images."""
        return FilePictures(self.root, Names(self.paths), size)


def tree_of(root: str | None, setting: str) -> tuple[FileTree, str]:
    """Return a folder or zip archive, and its place; ROOT.zip where there is no ROOT.

    Raises:
        MissingImagesError: There is neither, or no root is named.
        ValueError: There is something else.
    """
    if root is None:
        raise MissingImagesError(f"{setting} is not set")
    path = Path(root).expanduser()
    if not path.exists():
        archive = path.with_name(f"{path.name}.zip")
        if not archive.exists():
            raise MissingImagesError(f"{setting}={root} does not exist (nor does {archive.name} beside it)")
        path = archive
    if path.is_dir() and all(reason_for_name(item.name) for item in path.iterdir()):
        raise MissingImagesError(f"{setting}={root} is an empty folder")
    return open_tree(path, setting), str(path)


def inner_folder(
    tree: FileTree, folder: str | Sequence[str] | None, classes: Sequence[str], root: str
) -> str:
    """Return the folder in which the class folders are.

    That is `folder` of the root, or the root; folders that hold nothing but one folder are passed, as in archives.
    Of several folders the first that is there counts: a set is packed in more than one way.

    Args:
        tree: The root.
        folder: Such as `val`, `stimuli/edges`, or a list of such; None: none.
        classes: Names of classes: a single folder of such a name is a class.
        root: For messages.

    Raises:
        MissingImagesError: The folder is not there, and the root has no class folders.
    """
    known, where = set(classes), ""
    wanted = [folder] if isinstance(folder, str) else list(folder or ())
    while not any(_is_there(tree, where, one) for one in wanted):
        inside = _only_folder(tree, where, known)
        if inside is None:
            break
        where = inside
    names = tree.folders(where)
    there = [one for one in wanted if _is_there(tree, where, one)]
    if there:
        where = below(where, there[0])
        while (inside := _only_folder(tree, where, known)) is not None:
            where = inside
    elif wanted and (where or not any(_is_class(name, known) for name in names)):
        where = ""  # the only folder there is another set
        names = tree.folders(where)
        raise MissingImagesError(
            f"{root} has no folder {' or '.join(wanted)} and no class folders, but {listing(names, 6)}"
        )
    return where


def _is_there(tree: FileTree, where: str, folder: str) -> bool:
    for name in folder.split("/"):
        if name not in tree.folders(where):
            return False
        where = below(where, name)
    return True


def _is_class(name: str, known: set[str]) -> bool:
    return name in known or name.isdecimal()


def _only_folder(tree: FileTree, where: str, known: set[str]) -> str | None:
    """Return the only folder in `where` if it is no class but holds folders; None: there is no such folder."""
    names = tree.folders(where)
    if len(names) != 1 or _is_class(names[0], known):
        return None
    inside = below(where, names[0])
    return inside if tree.folders(inside) and not tree.find(inside, deep=False).images else None


def labelled_folders(
    root: str | None,
    setting: str,
    *,
    folder: str | Sequence[str] | None = None,
    keep: Subset | None = None,
    class_map: str | None = None,
) -> Labelled:
    """Return the images of class folders.

    Class folders are called like ImageNet's classes (WordNet ids), by their numbers 0 to 999 (with or without zeros
    in front: they are ordered as numbers), or like the 16 entry-level classes, or like the classes of a map.

    Args:
        root: The folder or zip archive.
        setting: Its name, for messages.
        folder: Where in the root, such as `val`, or a list of such places; not needed there.
        keep: Decide among these 200 classes of ImageNet only.
        class_map: A file, see `sixteen`.

    Raises:
        MissingImagesError: There are no images.
        ValueError: A folder that stands for no class, or has no image that can be read.
    """
    mapped = None if class_map is None else sixteen(class_map)
    named = mapped.names if mapped is not None else (*wordnet_ids(), *entry_classes())
    tree, place = tree_of(root, setting)
    where = inner_folder(tree, folder, named, place)
    return labelled_in(tree, place, where, setting, keep=keep, mapped=mapped)


def labelled_in(
    tree: FileTree,
    place: str,
    where: str,
    setting: str,
    *,
    keep: Subset | None = None,
    mapped: GroupedClasses | None = None,
) -> Labelled:
    """Return the images of the class folders that lie directly in `where`; see `labelled_folders`."""
    entries, left_out = class_entries(tree, where, "whole", setting)
    shown = f"{place}/{where}" if where else place
    if not entries:
        raise ValueError(f"{setting}={shown} has no class folders with images in them")
    folders = sorted({entry.class_name for entry in entries})
    numbers, decision = _numbers_of(folders, keep, mapped, shown)
    labelled = sorted((numbers[entry.class_name], entry.reference) for entry in entries)
    notices = [] if (sentence := left_out_sentence(left_out)) is None else [sentence]
    labels = np.array([label for label, _ in labelled], dtype=np.int64)
    return Labelled(place, tuple(path for _, path in labelled), labels, decision, tuple(notices))


def _numbers_of(
    folders: Sequence[str], keep: Subset | None, grouped: GroupedClasses | None, shown: str
) -> tuple[dict[str, int], Decision]:
    """Return the label of each class folder, and the decision among the classes."""
    if grouped is None and keep is None and any(name in entry_classes() for name in folders):
        grouped = sixteen()
    if grouped is not None:
        check_names(folders, grouped.names, f"class folder of {shown}")
        return {name: grouped.names.index(name) for name in folders}, grouped
    if all(name.isdecimal() for name in folders):
        outside = [name for name in folders if int(name) >= IMAGENET_CLASSES]
        if outside:
            raise ValueError(
                f"{shown} has class folders {listing(outside)}; allowed are the numbers 0 to 999"
            )
        index = {name: int(name) for name in folders}
        if len(set(index.values())) < len(index):
            raise ValueError(
                f"{shown} has two class folders of one number, such as 7 and 007; name each once"
            )
    else:
        position = {name: number for number, name in enumerate(wordnet_ids())}
        unknown = [name for name in folders if name not in position]
        if unknown:
            raise ValueError(
                f"{shown} has class folders that stand for no class: {listing(unknown, 6)}; allowed are ImageNet's "
                "WordNet ids (n01440764), its numbers 0 to 999, the 16 entry-level classes "
                f"({', '.join(entry_classes())}), or the names of a class_map=file.json"
            )
        index = {name: position[name] for name in folders}
    if keep is None:
        return index, AllClasses()
    label = {kept: number for number, kept in enumerate(kept_classes(keep))}
    outside = [name for name in folders if index[name] not in label]
    if outside:
        raise ValueError(
            f"{shown} has {count(len(outside), 'class folder')} that {keep} has not: {listing(outside, 6)}; allowed "
            f"are its 200 classes"
        )
    return {name: label[index[name]] for name in folders}, imagenet_subset(keep)


def check_names(names: Sequence[str], allowed: Sequence[str], what: str) -> None:
    """Refuse names that are no class, with one sentence."""
    unknown = [name for name in names if name not in allowed]
    if unknown:
        near = suggestion(unknown[0], allowed)
        raise ValueError(
            f"{what}: unknown {'class' if len(unknown) == 1 else 'classes'} {listing(unknown, 6)}{near}; allowed are "
            f"{listing(allowed, shown=20)}"
        )


def missing_from(found: int, expected: int | None) -> Iterator[str]:
    """Yield a notice where a set has another number of images than the public one."""
    if expected is not None and found != expected:
        yield f"{count(found, 'image')}, and the public set has {expected:,}"
