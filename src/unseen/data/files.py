"""Folders and zip archives read alike: files below a root, named with forward slashes, bytes on demand."""

from __future__ import annotations

import logging
import os
import stat
import struct
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from unseen.data.images import MAX_BYTES, BadImageError
from unseen.regular_files import kind_of, read_bytes

_SUFFIXES = """.jpg .jpeg .jpe .jfif .png .apng .bmp .dib .gif .tif .tiff .webp .avif
    .ppm .pgm .pbm .pnm .tga .jp2 .j2k"""
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
_UNREAD = """.heic .heif .hif .jxl .jxr .dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f
    .3fr .raw .psd .xcf .svg .eps .exr .hdr .dcm .nii .fits .mrc .czi .svs .ndpi .jpf .jpx .j2c .pcx .sgi .ras .xbm
    .xpm .ico .icns .bpg .qoi .dds .fli .mpo"""
_NO_SUFFIX, _LONGEST_SUFFIX = "without suffix", 10
LIKE_IMAGES = frozenset([*_UNREAD.split(), _NO_SUFFIX])
"""Reasons of files that are probably pictures, though of a kind that is not read."""
HIDDEN, SYSTEM = "hidden", "of the system"
# Written by operating systems, network storage and notebooks; names that begin with a dot are hidden anyway.
_SYSTEM = """thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini picasa.ini __macosx $recycle.bin recycler recycled
    lost+found @eadir @tmp @__thumb @recycle @recently-snapshot @sharebin #recycle #snapshot __pycache__"""
_MORE = ("system volume information", "network trash folder", "temporary items", "icon\r")
_SYSTEM_NAMES = {*_SYSTEM.split(), *_MORE}
DEEPEST = 100  # deeper folders are left out: their paths may be longer than systems can open
_TOO_DEEP = f"more than {DEEPEST} folders deep"
_VIRTUAL = ("/proc", "/sys")  # kernel file systems: links there lead to every process and device
_CLOCK_NS = 2 * 10**9  # the coarsest clock of a file system (FAT): two changes within it may look like one
_WINDOWS = 0  # `create_system` of archives made there
# Bytes unpacked at once. Of methods other than "deflated" Python unpacks all that so many packed bytes give.
_CHUNK, _SMALL_CHUNK = 1 << 20, 1 << 12
_log = logging.getLogger(__name__)


def reason_for_name(name: str) -> str | None:
    """Return why a file or folder of this name is left out without being opened, None if it is not.

    >>> reason_for_name(".cache"), reason_for_name("Thumbs.db"), reason_for_name("cat")
    ('hidden', 'of the system', None)
    """
    if name.lower() in _SYSTEM_NAMES:
        return SYSTEM
    return HIDDEN if name.startswith(".") else None


def reason_for_suffix(path: str) -> str | None:
    """Return why a file is no image by its name, None if it is one.

    >>> reason_for_suffix("cat/1.HEIC"), reason_for_suffix("cat/1"), reason_for_suffix("cat/1.JPG")
    ('.heic', 'without suffix', None)
    """
    if os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122  (of a million files)
        return None
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return None
    return "of other suffixes" if len(suffix) > _LONGEST_SUFFIX else suffix or _NO_SUFFIX


def below(folder: str, name: str) -> str:
    """Return the path of what lies in a folder of a tree ("": the root)."""
    return f"{folder}/{name}" if folder else name


@dataclass
class Found:
    """What lies in a folder of a tree.

    Attributes:
        images: Paths of everything that is an image by its name, seen from the root, sorted. A link that leads
            nowhere or a device is among them: reading it raises an error.
        unreadable: Paths of folders that cannot be opened.
        left_out: Number of all other files, and of the folders that are not looked into, by reason.
    """

    images: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class FolderTree:
    """A folder; links to files and folders are followed, but nowhere twice."""

    root: Path

    def folders(self, where: str = "") -> tuple[str, ...]:
        """Return the names of the visible folders directly in `where`, sorted."""
        _, folders, _ = next(os.walk(self.root / where, onerror=_raise))
        return tuple(sorted(name for name in folders if not reason_for_name(name)))

    def find(self, where: str = "", *, deep: bool = True) -> Found:
        """Return what lies in `where`, with or without the visible folders in it.

        A folder that a link leads to a second time, from wherever, is left out: in a class its images would be
        there twice, on both sides of a division.
        """
        root, found = os.fspath(self.root), Found()
        steps = where.split("/") if where else []
        seen = {os.path.realpath(self.root.joinpath(*steps[:number])) for number in range(len(steps))}

        def inside(place: str) -> str:
            return place[len(root) :].strip("/")

        def unreadable(error: OSError) -> None:
            found.unreadable.append(inside(error.filename))

        top = os.path.join(root, where)  # noqa: PTH118  (a Path would shorten ./cat to cat)
        for place, folders, files in os.walk(top, onerror=unreadable, followlinks=True):
            folder, real = inside(place), os.path.realpath(place)
            too_deep = len(Path(folder).parts) - len(steps) > DEEPEST
            virtual = any(Path(real).is_relative_to(top) for top in _VIRTUAL)
            if real in seen or virtual or too_deep:
                circle = "linked twice or in a circle"
                found.left_out[_TOO_DEEP if too_deep else SYSTEM if virtual else circle] += 1
                folders.clear()
                continue
            seen.add(real)
            found.left_out.update(filter(None, map(reason_for_name, (*folders, *files))))
            folders[:] = sorted(name for name in folders if deep and not reason_for_name(name))
            for name in files:
                if reason_for_name(name) is None:
                    if (reason := reason_for_suffix(name)) is None:
                        found.images.append(below(folder, name))
                    else:
                        is_file = os.path.isfile(os.path.join(place, name))  # noqa: PTH113, PTH118
                        found.left_out[reason if is_file else "neither file nor folder"] += 1
        found.images.sort()
        return found

    def read(self, path: str) -> bytes:
        """Return the content of a regular file, as `read_bytes` does; safe in threads."""
        place = self.root / path
        try:
            return read_bytes(place, MAX_BYTES)
        except ValueError:
            if place.is_dir():
                raise BadImageError("a folder that cannot be read") from None
            raise

    def stamps(self, paths: Sequence[str]) -> list[str] | None:
        """Return place, size and times of each file, as `file_stamps` does."""
        root = os.fspath(self.root)
        return file_stamps(os.path.join(root, path) for path in paths)  # noqa: PTH118  (of 100,000 files)


def _raise(error: OSError) -> None:
    raise error


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


class ZipTree:
    """A zip archive, read where it lies; links inside it are left out. ValueError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock, self._process = path, threading.Lock(), os.getpid()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error) as error:
            raise ValueError(f"{path} is not a zip archive that can be read: {error}") from error
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self._below = {"": Found()}  # what lies directly in a folder
        self._folders: dict[str, set[str]] = {"": set()}
        for info in self._zip.infolist():
            self._add(info)

    def _add(self, info: zipfile.ZipInfo) -> None:
        # no name on Windows has a backslash in it, but some programs there write it between folders
        name = info.filename.replace("\\", "/") if info.create_system == _WINDOWS else info.filename
        parts = [part for part in name.split("/") if part not in ("", ".")]
        is_file = not name.endswith("/")
        where, path = "", ""
        for number, part in enumerate(parts):
            where, path = path, below(path, part)
            is_member = is_file and number == len(parts) - 1
            reason = "named with .." if part == ".." else reason_for_name(part)
            if reason is None and number > DEEPEST:
                reason = _TOO_DEEP
            if reason is None and is_member:
                is_link = stat.S_ISLNK(info.external_attr >> 16)
                reason = "links in an archive" if is_link else reason_for_suffix(path)
            if reason is not None:
                if is_file:  # a folder alone is nothing that is lost
                    self._below[where].left_out[reason] += 1
                return
            if is_member:
                if path in self._infos:
                    self._below[where].left_out["named twice in an archive"] += 1
                else:
                    self._below[where].images.append(path)
                self._infos[path] = info  # the last one counts, as in an archive that was added to
            else:
                self._folders[where].add(part)
                self._folders.setdefault(path, set())
                self._below.setdefault(path, Found())

    def folders(self, where: str = "") -> tuple[str, ...]:
        """Return the names of the visible folders directly in `where`, sorted."""
        return tuple(sorted(self._folders[where]))

    def find(self, where: str = "", *, deep: bool = True) -> Found:
        """Return what lies in `where`, with or without the visible folders in it."""
        found, open_folders = Found(), [where]
        while open_folders:
            folder = open_folders.pop()
            found.images += self._below[folder].images
            found.left_out += self._below[folder].left_out
            if deep:
                open_folders += [below(folder, name) for name in self._folders[folder]]
        found.images.sort()
        return found

    def read(self, path: str) -> bytes:
        """Return the content of a file, one thread at a time.

        Raises:
            BadImageError: It is larger than any picture that can be used.
            Exception: As Python's zipfile, for what is damaged, encrypted, or packed in an unknown way.
        """
        info = self._infos[path]
        if info.file_size > MAX_BYTES:
            raise BadImageError(f"{info.file_size:,} bytes are more than {MAX_BYTES:,}")
        unpacked_in_steps = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        with self._lock:
            if self._process != os.getpid():  # a forked process would share the position in the file
                self._zip.fp, self._process = self._path.open("rb"), os.getpid()
            with self._zip.open(info) as member:
                # `open` ends after the size that the archive states, and compares the check sum then
                return b"".join(iter(lambda: member.read(_CHUNK if unpacked_in_steps else _SMALL_CHUNK), b""))

    def stamps(self, paths: Sequence[str]) -> list[str]:
        """Return check sum and size of each file; `read` compares both with what it reads."""
        infos = (self._infos[path] for path in paths)
        return [f"{info.CRC:08x} {info.file_size}" for info in infos]


FileTree = FolderTree | ZipTree


def open_tree(root: str | Path, setting: str = "data.root") -> FileTree:
    """Return the folder or zip archive at `root`, where ~ is the home folder.

    Raises:
        ValueError: Nothing is there, or a file that is no zip archive, or an empty folder; it names the setting.
    """
    path = Path(root).expanduser()
    if path.is_dir():
        with os.scandir(path) as items:
            if all(reason_for_name(item.name) for item in items):
                raise ValueError(f"{setting}={root} is an empty folder")
    elif not path.exists():
        place = "" if str(path.absolute()) == str(root) else f" (looked for {path.absolute()})"
        raise ValueError(f"{setting}={root} does not exist{place}")
    elif not path.is_file() or not zipfile.is_zipfile(path):
        kind = "a file" if path.is_file() else kind_of(path.stat().st_mode)
        raise ValueError(f"{setting}={root} is {kind}, but neither a folder nor a zip archive")
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
