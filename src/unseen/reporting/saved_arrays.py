"""Arrays in .npz files of unknown origin: nothing in a file can run code or fill the memory."""

from __future__ import annotations

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unseen.regular_files import MEBIBYTE, open_regular

_LARGEST_FILE = 1024 * MEBIBYTE
_LARGEST_ARRAY = 512 * MEBIBYTE
_LONGEST_READ = 4 * MEBIBYTE
_DAMAGES = (
    zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError,  # spoilt or cut bytes
    RuntimeError,  # a password; its kind NotImplementedError: a packing that zipfile does not know
    KeyError,  # no such array
    TypeError, tokenize.TokenError, OverflowError, MemoryError,  # numpy's, for an array's header
)  # fmt: skip


class _ShortReads:
    """A file that refuses to be read in one large piece: zipfile would list millions of members at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(min(size, _LONGEST_READ + 1) if size >= 0 else _LONGEST_READ + 1)
        if len(content) > _LONGEST_READ:
            raise ValueError("it is not a list of a few arrays")
        return content


@contextmanager
def opened_arrays(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a file for `array_of`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such file, or it is damaged.
    """
    with open_regular(path, _LARGEST_FILE) as file:
        with _damage_is_said():
            archive = zipfile.ZipFile(_ShortReads(file))
        with archive:
            yield archive


@contextmanager
def _damage_is_said() -> Iterator[None]:
    """Turn what zipfile and numpy raise into a ValueError; around their calls alone, for others raise the same."""
    try:
        yield
    except _DAMAGES as error:
        raise ValueError(f"it is damaged ({error})") from error


def array_of(archive: zipfile.ZipFile, key: str, kinds: str, dimensions: int) -> NDArray[Any]:
    """Return an array of at most 512 MiB.

    Args:
        archive: From `opened_arrays`.
        key: Its name.
        kinds: Kinds of numpy's data types that it may have, such as "iu" or "f".
        dimensions: That it must have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not there, damaged, larger, or another kind of array.
    """
    with _damage_is_said():
        member = archive.getinfo(f"{key}.npy")
    # zipfile unpacks no more than the size in its list, whatever the array's own header declares
    if member.file_size > _LARGEST_ARRAY:
        raise ValueError(f"{key} has more than {_LARGEST_ARRAY // MEBIBYTE} MiB")
    with _damage_is_said(), archive.open(member) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind not in kinds or array.ndim != dimensions:
        raise ValueError(f"{key} is {array.dtype} of the shape {array.shape}")
    return array
