"""A zip archive read as a tree of folders; nothing is unpacked to disk."""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.data.file_tree import DEEPEST, TOO_DEEP, Found
from unseen.data.images import MAX_BYTES, BadImageError
from unseen.data.left_out import reason_for_name, reason_for_suffix

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Bytes asked for at once. Of methods other than "deflated" Python unpacks all that so many packed bytes give.
_CHUNK, _SMALL_CHUNK = 1 << 20, 1 << 12
_WINDOWS = 0  # `create_system` of archives made there


@dataclass
class _Folder:
    """What lies directly in a folder."""

    folders: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)


class _OwnPosition(io.RawIOBase):
    """A file whose position is this object's: processes forked from this one would share a descriptor's."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: os.fstat(self._file.fileno()).st_size,
        }
        self._position = starts[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        content = os.pread(self._file.fileno(), len(view), self._position)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)


class ZipTree:
    """A zip archive, read where it lies; links inside it are left out.

    Raises:
        ValueError: The archive cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(io.BufferedReader(_OwnPosition(path)))
        except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error) as error:
            raise ValueError(f"{path} is not a zip archive that can be read: {error}") from error
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self._below: dict[str, _Folder] = {"": _Folder()}
        for info in self._zip.infolist():
            self._add(info)

    def _add(self, info: zipfile.ZipInfo) -> None:
        # no name on Windows has a backslash in it, but some programs there write it between folders
        name = info.filename.replace("\\", "/") if info.create_system == _WINDOWS else info.filename
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if not parts:
            return
        is_file = not name.endswith("/")
        where, path = "", ""
        for number, part in enumerate(parts):
            where, path = path, f"{path}/{part}" if path else part
            last = number == len(parts) - 1
            reason = "named with .." if part == ".." else reason_for_name(part)
            if reason is None and number > DEEPEST:
                reason = TOO_DEEP
            if reason is None and last and is_file:
                reason = "links in an archive" if _is_link(info) else reason_for_suffix(path)
            if reason is not None:
                if is_file:  # a folder alone is nothing that is lost
                    self._below[where].left_out[reason] += 1
                return
            if last and is_file:
                if path in self._infos:  # the last one counts, as in an archive that was added to
                    self._below[where].left_out["named twice in an archive"] += 1
                self._infos[path] = info
                self._below[where].images.add(path)
            else:
                self._below[where].folders.add(part)
                self._below.setdefault(path, _Folder())

    def folders(self, where: str = "") -> tuple[str, ...]:
        """Return the names of the visible folders directly in `where`, sorted."""
        return tuple(sorted(self._below[where].folders))

    def find(self, where: str = "", *, deep: bool = True) -> Found:
        """Return what lies in `where`, with or without the visible folders in it."""
        found, open_folders = Found(), [where]
        while open_folders:
            folder = open_folders.pop()
            here = self._below[folder]
            found.images += here.images
            found.left_out += here.left_out
            if deep:
                open_folders += [f"{folder}/{name}" if folder else name for name in here.folders]
        found.images.sort()
        return found

    def read(self, path: str) -> bytes:
        """Return the content of a file; one thread at a time.

        Raises:
            BadImageError: It is larger than any picture that can be used.
            Exception: As Python's zipfile, for what is damaged, encrypted, or packed in an unknown way.
        """
        info = self._infos[path]
        if info.file_size > MAX_BYTES:
            raise BadImageError(f"{info.file_size:,} bytes are more than {MAX_BYTES:,}")
        unpacked_in_steps = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        with self._lock, self._zip.open(info) as member:
            # `open` ends after the size that the archive states, and compares the check sum then
            return b"".join(iter(lambda: member.read(_CHUNK if unpacked_in_steps else _SMALL_CHUNK), b""))

    def stamps(self, paths: Sequence[str]) -> list[str]:
        """Return check sum and size of each file; `read` compares both with what it reads."""
        infos = (self._infos[path] for path in paths)
        return [f"{info.CRC:08x} {info.file_size}" for info in infos]


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)
