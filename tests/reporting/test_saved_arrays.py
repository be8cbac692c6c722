"""Damaged .npz files: whatever zipfile or numpy raise becomes one sentence."""

from __future__ import annotations

import io
import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unseen.reporting.saved_arrays import array_of, opened_arrays

_SIZE = 5000


def _header(text: str) -> bytes:
    """Return an array that says this of itself, in numpy's format 1.0, and has no numbers."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def _of_shape(shape: str) -> bytes:
    return _header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}")


def _array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).random(_SIZE))
    return file.getvalue()


def _write(path: Path, content: bytes, packing: int = zipfile.ZIP_STORED) -> bytearray:
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.npy", content)
    return bytearray(path.read_bytes())


def _read(path: Path) -> None:
    with opened_arrays(path) as archive:
        array_of(archive, "a", "f", 1)


@pytest.mark.parametrize(
    ("content", "raised"),
    [
        (_of_shape("(10_000_000_000_000,)"), MemoryError),
        (_of_shape(f"({10**30},)"), OverflowError),
        (_header("{1: 2, 'shape': (1,)}"), TypeError),
        (_header("(" * 9000), tokenize.TokenError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_header_that_is_wrong(tmp_path: Path, content: bytes, raised: type[Exception]) -> None:
    _write(tmp_path / "x.npz", content)
    with pytest.raises(ValueError, match=r"^it is damaged \(") as found:
        _read(tmp_path / "x.npz")
    assert isinstance(found.value.__cause__, raised)


def _set(archive: bytearray, at_file: int, at_list: int, value: int) -> None:
    """Set a byte of the file's own header, and of its line in the list at the end."""
    archive[at_file] = archive[archive.find(b"PK\1\2") + at_list] = value


@pytest.mark.parametrize(
    ("packing", "spoil", "raised"),
    [
        (
            zipfile.ZIP_STORED,
            lambda archive: _set(archive, 8, 10, 99),
            NotImplementedError,
        ),  # unknown packing
        (zipfile.ZIP_STORED, lambda archive: _set(archive, 6, 8, 1), RuntimeError),  # encrypted
        (
            zipfile.ZIP_STORED,
            lambda archive: archive.__setitem__(3000, archive[3000] ^ 1),
            zipfile.BadZipFile,
        ),
        (zipfile.ZIP_STORED, lambda archive: archive.__setitem__(archive.rfind(b"a.npy"), 98), KeyError),
        (zipfile.ZIP_DEFLATED, lambda archive: archive.__setitem__(slice(60, 90), b"\xff" * 30), zlib.error),
        (zipfile.ZIP_LZMA, lambda archive: archive.__setitem__(slice(60, 90), b"\xff" * 30), lzma.LZMAError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bytes_that_are_spoilt(
    tmp_path: Path, packing: int, spoil: Callable[[bytearray], None], raised: type[Exception]
) -> None:
    archive = _write(tmp_path / "x.npz", _array(), packing)
    _read(tmp_path / "x.npz")
    spoil(archive)
    (tmp_path / "x.npz").write_bytes(archive)
    with pytest.raises(ValueError, match=r"^it is damaged \(") as found:
        _read(tmp_path / "x.npz")
    assert isinstance(found.value.__cause__, raised)


@pytest.mark.parametrize("kind", [KeyError, TypeError, MemoryError, RuntimeError])
def test_errors_of_the_caller_are_no_damage(tmp_path: Path, kind: type[Exception]) -> None:
    _write(tmp_path / "x.npz", _array())
    with pytest.raises(kind), opened_arrays(tmp_path / "x.npz"):
        raise kind


def test_a_file_that_ends_too_early(tmp_path: Path) -> None:
    archive = _write(tmp_path / "x.npz", _of_shape("(100_000,)"))
    listed = archive.find(b"PK\1\2")
    # by the list, packed and unpacked size, the numbers go on behind the end of the file
    archive[listed + 20 : listed + 28] = (10**6).to_bytes(4, "little") * 2
    (tmp_path / "x.npz").write_bytes(archive)
    with pytest.raises(ValueError, match=r"^it is damaged \(") as found:
        _read(tmp_path / "x.npz")
    assert isinstance(found.value.__cause__, EOFError)
