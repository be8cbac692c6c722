"""Small image folders written for a test."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Writer = Callable[..., Path]


def zipped(folder: Path, target: Path, top: str = "") -> Path:
    """Packs all that is in a folder, below `top` in the archive."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{top}{path.relative_to(folder).as_posix()}")
    return target


def picture(number: int, size: tuple[int, int] = (12, 12)) -> Image.Image:
    """A picture that differs from every other number's."""
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.fixture
def write_images(tmp_path: Path) -> Writer:
    """Writes {"folder": number of images} below a folder and returns it."""

    def write(folders: Mapping[str, int], root: str = "photos", size: tuple[int, int] = (12, 12)) -> Path:
        number = 0
        for folder, images in folders.items():
            place = tmp_path / root / folder
            place.mkdir(parents=True, exist_ok=True)
            for i in range(images):
                number += 1
                picture(number, size).save(place / f"{i:03d}.png")
        return tmp_path / root

    return write
