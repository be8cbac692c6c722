"""Small stand-ins of public layouts, made of pictures whose colour says which they are."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image


def picture(number: int, side: int = 8, kind: str = "PNG") -> bytes:
    """A plain picture with the number in its red and green values."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (number % 256, number // 256, 100)).save(buffer, kind)
    return buffer.getvalue()


def write_folder(root: Path, paths: Iterable[str], side: int = 8) -> Path:
    """Write a picture at each path, numbered in the order of the paths."""
    for number, path in enumerate(paths):
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(picture(number, side, "WEBP" if path.endswith("webp") else "PNG"))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    return lambda paths, name="set", side=8: write_folder(tmp_path / name, paths, side)


@pytest.fixture
def zipped() -> Callable[[Path], Path]:
    """Return a zip archive of a folder's files, beside it."""

    def archive(root: Path) -> Path:
        path = root.with_name(f"{root.name}-archive.zip")
        with zipfile.ZipFile(path, "w") as target:
            for file in sorted(root.rglob("*")):
                if file.is_file():
                    target.write(file, file.relative_to(root))
        return path

    return archive
