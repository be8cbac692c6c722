"""Arrays of embeddings.npz, each checked by its header before its numbers are read.

Legend: N samples, D features.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unseen.regular_files import MEBIBYTE, open_regular
from unseen.reporting.records import Floats

_LARGEST_FILE = 1024 * MEBIBYTE
_LARGEST_ARRAY = 512 * MEBIBYTE
_LONGEST_READ = 4 * MEBIBYTE
_MOST_FEATURES = 8192  # wider ones take minutes to draw
_MOST_CLASSES = 10_000


class _ShortReads:
    """A file that refuses to be read in one large piece: zipfile would take a list of millions of members at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(min(size, _LONGEST_READ + 1) if size >= 0 else _LONGEST_READ + 1)
        if len(found) > _LONGEST_READ:
            raise ValueError("it is not a list of a few arrays")
        return found


class SavedEmbeddings:
    """The unseen embeddings of some layers of one run.

    Attributes:
        labels: (N,) class of each sample, 0..C-1.
        step: Of the evaluation; None where it was not saved.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        self.labels: NDArray[np.int64] = self._read("unseen_labels", "iu", 1).astype(np.int64)
        if not len(self.labels) or not 0 <= self.labels.min() <= self.labels.max() < _MOST_CLASSES:
            raise ValueError(f"unseen_labels are not classes of 0 to at most {_MOST_CLASSES - 1}")
        self.step = int(self._read("step", "iu", 0)) if "step.npy" in self._names else None

    def layer(self, number: int) -> Floats | None:
        """Return (N, D) of a layer, None where it was not saved.

        Raises:
            ValueError: It is no such array, or has a number that is not finite.
        """
        key = f"unseen_{number}"
        if f"{key}.npy" not in self._names:
            return None
        found: Floats = self._read(key, "f", 2).astype(np.float64)
        if len(found) != len(self.labels) or not 1 <= found.shape[1] <= _MOST_FEATURES:
            raise ValueError(f"{key} has the shape {found.shape}, there are {len(self.labels)} samples")
        if not np.isfinite(found).all():
            raise ValueError(f"{key} has a number that is not finite")
        return found

    def _read(self, key: str, kinds: str, dimensions: int) -> NDArray[Any]:
        member = f"{key}.npy"
        if member not in self._names:
            raise ValueError(f"{key} is missing")
        with self._archive.open(member) as file:
            shape, dtype = _header(file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in kinds or len(shape) != dimensions or size > _LARGEST_ARRAY:
            raise ValueError(f"{key} is {dtype} of the shape {shape}")
        with self._archive.open(member) as file:
            found: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"numpy's format {version} is not known")
    return shape, dtype


@contextmanager
def saved_embeddings(path: Path) -> Iterator[SavedEmbeddings]:
    """Open the embeddings that a run saved. Nothing in the file can run code or fill the memory.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not what a run saves.
    """
    try:
        with open_regular(path, _LARGEST_FILE) as file, zipfile.ZipFile(_ShortReads(file)) as archive:
            yield SavedEmbeddings(archive)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        zlib.error,
    ) as error:
        raise ValueError(f"it is damaged ({error})") from error
