"""Folders and zip archives read alike: names with forward slashes, bytes on demand."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Protocol

from unseen.data.catalog import Entry, Part
from unseen.data.wording import listing

_SUFFIXES = """.jpg .jpeg .jpe .jfif .png .apng .bmp .dib .gif .tif .tiff .webp .avif
    .ppm .pgm .pbm .pnm .tga .jp2 .j2k"""
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
# A clock may stand still for two seconds (FAT): a file written twice in that time looks as if written once.
_SETTLED_SECONDS = 5.0
_log = logging.getLogger(__name__)


class FileTree(Protocol):
    """Files below a root."""

    def folders(self, where: str = "") -> tuple[str, ...]:
        """Return the names of the visible folders directly in `where`, sorted."""

    def files(self, where: str = "", *, deep: bool = True) -> tuple[str, ...]:
        """Return the paths of all visible files in `where`, seen from the root, sorted."""

    def read(self, path: str) -> bytes:
        """Return the content of a file; safe in threads."""

    def stamps(self, paths: Sequence[str]) -> list[str] | None:
        """Return for each file what changes with its content, or None where that cannot be told."""


@dataclass(frozen=True)
class FolderTree:
    """A folder; links to files and folders are followed, circles are not."""

    root: Path

    def folders(self, where: str = "") -> tuple[str, ...]:
        """Return the names of the visible folders directly in `where`, sorted."""
        with os.scandir(self.root / where) as found:
            return tuple(sorted(item.name for item in found if _visible(item.name) and item.is_dir()))

    def files(self, where: str = "", *, deep: bool = True) -> tuple[str, ...]:
        """Return the paths of all visible files in `where`, seen from the root, sorted."""
        steps = where.split("/") if where else []
        above = [os.path.realpath(self.root.joinpath(*steps[:number])) for number in range(len(steps))]
        return tuple(sorted(self._walk(where, deep, frozenset(above))))

    def _walk(self, where: str, deep: bool, above: frozenset[str]) -> list[str]:
        place = os.path.realpath(self.root / where)
        if place in above:
            return []
        found: list[str] = []
        with os.scandir(self.root / where) as items:
            for item in items:
                path = f"{where}/{item.name}" if where else item.name
                if not _visible(item.name):
                    continue
                if (
                    not item.is_dir()
                ):  # a link that leads nowhere counts as a file: reading it says what is wrong
                    found.append(path)
                elif deep:
                    found += self._walk(path, deep, above | {place})
        return found

    def read(self, path: str) -> bytes:
        """Return the content of a file; safe in threads."""
        return (self.root / path).read_bytes()

    def stamps(self, paths: Sequence[str]) -> list[str] | None:
        """Return place, size and times of each file, as `file_stamps` does."""
        root = os.fspath(self.root)
        return file_stamps(os.path.join(root, path) for path in paths)  # noqa: PTH118  (of 100,000 files)


class ZipTree:
    """A zip archive, read where it lies; links inside it are left out.

    Raises:
        ValueError: The archive cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{path} is not a zip archive that can be read: {error}") from error
        self._below: dict[str, tuple[set[str], set[str]]] = {"": (set(), set())}
        for info in self._zip.infolist():
            self._add(info)

    def _add(self, info: zipfile.ZipInfo) -> None:
        parts = info.filename.strip("/").split("/")
        if stat.S_ISLNK(info.external_attr >> 16) or not all(_visible(part) for part in parts):
            return
        above = ""
        for number, part in enumerate(parts):
            path = f"{above}/{part}" if above else part
            folders, files = self._below.setdefault(above, (set(), set()))
            if number == len(parts) - 1 and not info.is_dir():
                files.add(path)
            else:
                folders.add(part)
                self._below.setdefault(path, (set(), set()))
            above = path

    def folders(self, where: str = "") -> tuple[str, ...]:
        """Return the names of the visible folders directly in `where`, sorted."""
        return tuple(sorted(self._below[where][0]))

    def files(self, where: str = "", *, deep: bool = True) -> tuple[str, ...]:
        """Return the paths of all visible files in `where`, seen from the root, sorted."""
        folders, files = self._below[where]
        found = list(files)
        for folder in folders if deep else ():
            found += self.files(f"{where}/{folder}" if where else folder)
        return tuple(sorted(found))

    def read(self, path: str) -> bytes:
        """Return the content of a file; one thread at a time."""
        with self._lock:
            return self._zip.read(path)

    def stamps(self, paths: Sequence[str]) -> list[str]:
        """Return check sum and size of each file; `read` compares both with what it reads."""
        infos = (self._zip.getinfo(path) for path in paths)
        return [f"{info.CRC:08x} {info.file_size}" for info in infos]


def file_stamps(paths: Iterable[str | os.PathLike[str]]) -> list[str] | None:
    """Return for each file where it really lies, its size, and when content and status last changed, in ns.

    The status cannot be set back by a program that keeps the times of the files it copies, so a file replaced by
    another of the same size and date has another stamp.

    Returns:
        None where a stamp proves nothing: a file was changed in the last seconds, and could be again without
        its times moving; or a file cannot be found.
    """
    folders: dict[str, str] = {}  # a folder's links are followed once
    found, newest = [], 0
    now = time.time_ns()
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
            newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
            found.append(f"{place} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}")
    except OSError:
        return None
    if newest > now - _SETTLED_SECONDS * 1e9:
        _log.info("image files changed less than %g s ago: their times prove nothing yet", _SETTLED_SECONDS)
        return None
    return found


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
            if not any(_visible(item.name) for item in items):
                raise ValueError(f"{setting}={root} is an empty folder")
        return FolderTree(path)
    if not path.exists():
        place = "" if str(path.absolute()) == str(root) else f" (looked for {path.absolute()})"
        raise ValueError(f"{setting}={root} does not exist{place}")
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
) -> tuple[list[Entry], int]:
    """Return the images of the class folders in `where`, and how many other files there are.

    Raises:
        ValueError: A class folder without any image.
    """
    entries: list[Entry] = []
    ignored = len(tree.files(where, deep=False))
    for name in tree.folders(where):
        folder = f"{where}/{name}" if where else name
        paths = tree.files(folder)
        images = [path for path in paths if _suffix(path) in IMAGE_SUFFIXES]
        if not images:
            suffixes = sorted({_suffix(path) or "no suffix" for path in paths})
            found = f"its files have {listing(suffixes)}" if paths else "it is empty"
            raise ValueError(f"class folder {folder!r} of {setting} has no image in it: {found}")
        entries += [Entry(path, name, part) for path in images]
        ignored += len(paths) - len(images)
    return entries, ignored


def _visible(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _SYSTEM_FILES


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
