"""Reading files of unknown origin: regular files only, and never more than a bound.

Opening a named pipe waits for a writer, a device may have no end, and a huge file fills the memory.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

MEBIBYTE = 2**20


def open_regular(path: Path, most_bytes: int) -> BinaryIO:
    """Open a file for reading if it is a regular one (or a link to one) of at most `most_bytes`.

    Raises:
        FileNotFoundError: There is nothing of this name.
        OSError: It cannot be opened.
        ValueError: It is a folder, a named pipe, a socket or a device, or it is larger.
    """
    _check(path.stat(), path, most_bytes)  # before opening: to open a device may do something
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _check(os.fstat(descriptor), path, most_bytes)  # another file may have taken its name meanwhile
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: As `open_regular`.
        ValueError: As `open_regular`.
    """
    with open_regular(path, most_bytes) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1)  # memory is reserved for all that is asked for
        if len(content) > size:  # it grows while it is read
            content += file.read(most_bytes + 1 - size)
    if len(content) > most_bytes:
        raise ValueError(_too_large(path, most_bytes))
    return content


def read_text(path: Path, most_bytes: int) -> str:
    """Return the text of a regular file, without a byte order mark at its start.

    Raises:
        OSError: As `open_regular`.
        ValueError: As `open_regular`, or it is not UTF-8.
    """
    try:
        return read_bytes(path, most_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text (byte {error.start})") from error


def kind_of(mode: int) -> str:
    """Return what a thing of this mode is, where it is no regular file."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _check(about: os.stat_result, path: Path, most_bytes: int) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise ValueError(f"{path.name} is not a regular file but {kind_of(about.st_mode)}")
    if about.st_size > most_bytes:
        raise ValueError(_too_large(path, most_bytes))


def _too_large(path: Path, most_bytes: int) -> str:
    return f"{path.name} has more than {most_bytes / MEBIBYTE:g} MiB"
