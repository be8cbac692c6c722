"""Arrays of bytes in .npy files that processes share: written row by row, mapped read-only, held while in use.

Legend: N rows.
"""

from __future__ import annotations

import fcntl
import io
import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Shape = tuple[int, ...]


def row_writer(file: IO[bytes], shape: Shape) -> Callable[[int, Bytes], None]:
    """Begin the .npy file of a uint8 array (N, ...) and return what writes a row; safe in threads.

    Unlike a store to mapped memory, which kills the process, a write raises OSError when the disk is full.
    """
    header, row_bytes = _header(shape), math.prod(shape[1:])
    file.write(header)
    file.truncate(file_size(shape))

    def write(position: int, row: Bytes) -> None:
        rest, offset = memoryview(row.tobytes()), len(header) + position * row_bytes
        while rest:
            written = os.pwrite(file.fileno(), rest, offset)
            rest, offset = rest[written:], offset + written

    return write


def is_whole(file: IO[bytes], shape: Shape) -> bool:
    """Return whether the file has just the header and the size of such an array."""
    header = _header(shape)
    return os.fstat(file.fileno()).st_size == file_size(shape) and file.read(len(header)) == header


def map_array(file: IO[bytes], shape: Shape) -> Bytes:
    """Return the array in a file, read-only: processes that do the same share its memory.

    The mapping keeps a copy of the file's descriptor, so the file is held (see `hold`) as long as the array lives.
    """
    return np.asarray(np.memmap(file, np.uint8, mode="r", offset=len(_header(shape)), shape=shape))


def file_size(shape: Shape) -> int:
    """Return the bytes of the .npy file of such an array."""
    return len(_header(shape)) + math.prod(shape)


def hold(file: IO[bytes]) -> None:
    """Say that a file is in use, as long as any copy of its descriptor is open; a process that dies lets go."""
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_SH)


def delete_unused(path: Path) -> bool:
    """Delete a file unless a process holds it, or it is not ours to delete; return whether it is gone.

    Linux and macOS would keep a deleted file for those who have mapped it; a network file system would not.
    """
    try:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _header(shape: Shape) -> bytes:
    """Return how the .npy file of such an array begins."""
    header = io.BytesIO()
    content = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, content)
    return header.getvalue()
