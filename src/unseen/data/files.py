"""Folders and zip archives read alike: names with forward slashes, bytes on demand."""

from __future__ import annotations

import logging
import os
import stat
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from unseen.data.catalog import Entry, Part
from unseen.data.file_tree import DEEPEST, TOO_DEEP, FileTree, Found
from unseen.data.images import MAX_BYTES, BadImageError
from unseen.data.left_out import LIKE_IMAGES, SYSTEM, LeftOut, reason_for_name, reason_for_suffix, within
from unseen.data.zip_tree import ZipTree
from unseen.wording import listing

_CLOCK_NS = 2 * 10**9  # the coarsest clock of a file system (FAT): two changes within it may look like one
_VIRTUAL = ("/proc", "/sys")  # file systems without files: links there lead through all of the machine
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderTree:
    """A folder; links to files and folders are followed, but nowhere twice."""

    root: Path

    def folders(self, where: str = "") -> tuple[str, ...]:
        """Return the names of the visible folders directly in `where`, sorted."""
        with os.scandir(self.root / where) as items:
            return tuple(
                sorted(item.name for item in items if not reason_for_name(item.name) and _is_dir(item))
            )

    def find(self, where: str = "", *, deep: bool = True) -> Found:
        """Return what lies in `where`, with or without the visible folders in it.

        A folder that a link leads to a second time, from wherever, is left out: in a class its images would be
        there twice, on both sides of a division.
        """
        steps = where.split("/") if where else []
        seen = {os.path.realpath(self.root.joinpath(*steps[:number])) for number in range(len(steps))}
        found, open_folders = Found(), [(where, 0)]
        while open_folders:
            folder, depth = open_folders.pop()
            place = os.path.realpath(self.root / folder)
            if place in seen:
                found.left_out["linked twice or in a circle"] += 1
            elif any(Path(place).is_relative_to(top) for top in _VIRTUAL):
                found.left_out[SYSTEM] += 1
            elif depth > DEEPEST:
                found.left_out[TOO_DEEP] += 1
            else:
                seen.add(place)
                open_folders += [(inner, depth + 1) for inner in self._look(folder, deep, found)]
        found.images.sort()
        return found

    def _look(self, folder: str, deep: bool, found: Found) -> list[str]:
        """Add what lies directly in a folder, and return the paths of the folders in it, last one first."""
        inner = []
        try:
            with os.scandir(self.root / folder) as scanned:
                items = sorted(scanned, key=lambda item: item.name)
        except OSError:
            found.unreadable.append(folder)
            return []
        for item in items:
            path = f"{folder}/{item.name}" if folder else item.name
            if hidden := reason_for_name(item.name):
                found.left_out[hidden] += 1
            elif _is_dir(item):
                inner += [path] if deep else []
            elif reason := reason_for_suffix(item.name):
                found.left_out[reason if _is_file(item) else "neither file nor folder"] += 1
            else:
                found.images.append(path)
        return inner[::-1]

    def read(self, path: str) -> bytes:
        """Return the content of a regular file; safe in threads.

        Raises:
            OSError: It is not there, or cannot be opened.
            BadImageError: It is no regular file, or too large.
        """
        return read_regular(self.root / path)

    def stamps(self, paths: Sequence[str]) -> list[str] | None:
        """Return place, size and times of each file, as `file_stamps` does."""
        root = os.fspath(self.root)
        return file_stamps(os.path.join(root, path) for path in paths)  # noqa: PTH118  (of 100,000 files)


def _is_dir(item: os.DirEntry[str]) -> bool:
    """Return whether it is a folder or leads to one; a link to itself does not."""
    try:
        return item.is_dir()
    except OSError:
        return False


def _is_file(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_file()
    except OSError:
        return False


def read_regular(path: Path) -> bytes:
    """Return the content of a regular file, without ever waiting for a writer or touching a device.

    Raises:
        OSError: It is not there, or cannot be opened.
        BadImageError: It is no regular file, or too large.
    """
    _check_regular(path.stat())
    # between the look and the opening the file may have become a named pipe, which would wait for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        _check_regular(os.fstat(descriptor))
        content = file.read(MAX_BYTES + 1)  # a file of a system may be longer than it says
    if len(content) > MAX_BYTES:
        raise BadImageError(f"larger than {MAX_BYTES:,} bytes")
    return content


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadImageError(kind_of(status.st_mode))
    if status.st_size > MAX_BYTES:
        raise BadImageError(f"{status.st_size:,} bytes are more than {MAX_BYTES:,}")


def kind_of(mode: int) -> str:
    """Return what a thing of this mode is, where it is no regular file."""
    if stat.S_ISDIR(mode):
        return "a folder that cannot be read"
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def file_stamps(paths: Iterable[str | os.PathLike[str]]) -> list[str] | None:
    """Return for each file where it really lies, its size, and when content and status last changed, in ns.

    A program that keeps the times of the files it copies cannot set back the time of the status, so a file replaced
    by another of the same size and date has another stamp.

    Returns:
        None where a file was changed so recently that another change might have the same times, or cannot be found.
    """
    folders: dict[str, str] = {}  # a folder's links are followed once
    stamps = []
    recent = time.time_ns() - _CLOCK_NS
    try:
        for path in paths:
            folder, name = os.path.split(path)
            status = os.stat(path, follow_symlinks=False)  # noqa: PTH116  (of 100,000 files)
            if stat.S_ISLNK(status.st_mode):
                place, status = os.path.realpath(path), os.stat(path)  # noqa: PTH116
            else:
                if folder not in folders:
                    folders[folder] = os.path.realpath(folder)
                place = f"{folders[folder]}/{name}"
            if max(status.st_mtime_ns, status.st_ctime_ns) >= recent:
                _log.info("images are not kept for later runs: some were changed in the last seconds")
                return None
            stamps.append(f"{place} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}")
    except OSError:
        return None
    return stamps


def open_tree(root: str | Path, setting: str = "data.root") -> FileTree:
    """Return the folder or zip archive at `root`.

    Args:
        root: A path; ~ is the home folder.
        setting: What the path is called in messages.

    Raises:
        ValueError: Nothing is there, or a file that is no zip archive, or an empty folder.
    """
    path = Path(root).expanduser()
    if path.is_dir():
        with os.scandir(path) as items:
            if all(reason_for_name(item.name) for item in items):
                raise ValueError(f"{setting}={root} is an empty folder")
        return FolderTree(path)
    if not path.exists():
        place = "" if str(path.absolute()) == str(root) else f" (looked for {path.absolute()})"
        raise ValueError(f"{setting}={root} does not exist{place}")
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ValueError(f"{setting}={root} is {kind_of(mode)}, but neither a folder nor a zip archive")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{setting}={root} is a file, but neither a folder nor a zip archive")
    return tree_at(path)


def tree_at(root: str | Path) -> FileTree:
    """Return the folder or zip archive at `root`, which `open_tree` has seen before."""
    path = Path(root).expanduser()
    if path.is_dir():
        return FolderTree(path)
    status = path.stat()
    return _open_zip(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _open_zip(path: Path, changed: int, size: int) -> ZipTree:
    """Return the archive; the index of 100,000 files is read once, not once an image."""
    del changed, size  # only part of the key
    return ZipTree(path)


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
    beside = tree.find(where, deep=False)
    left_out = within("", beside.left_out)
    if beside.images:
        left_out[LeftOut("outside any class folder")] = len(beside.images)
    for name in tree.folders(where):
        folder = f"{where}/{name}" if where else name
        found = tree.find(folder)
        if folder in found.unreadable:
            raise ValueError(
                f"class folder {folder!r} of {setting} cannot be opened; mend its rights or move it away"
            )
        if not (found.images or found.unreadable):
            if lost := sorted(set(found.left_out) & LIKE_IMAGES):
                raise ValueError(
                    f"class folder {folder!r} of {setting} has no image that can be read: its files are "
                    f"{listing(lost)}; convert them to .png or .jpg, or move the folder away"
                )
            left_out[LeftOut("without an image", name)] = 1 + sum(found.left_out.values())
            continue
        entries += [Entry(path, name, part) for path in [*found.images, *found.unreadable]]
        left_out += within(name, found.left_out)
    return entries, left_out
