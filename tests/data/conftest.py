"""Small image folders written for a test."""

from __future__ import annotations

import inspect
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unseen.data.datamodule import SeenUnseenDataModule
from unseen.data.selection import SelectionRule
from unseen.data.splits import choose_classes
from unseen.data.transforms import View

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


def datamodule(source: Any, *, seed: int = 0, split_seed: int = 0, **settings: Any) -> SeenUnseenDataModule:
    """A data module of settings as the command line has them; mean and deviation are a half, unless given."""

    def some(kind: Callable[..., object]) -> dict[str, Any]:
        return {key: settings.pop(key) for key in inspect.signature(kind).parameters.keys() & settings.keys()}

    view, rule = View(**some(View), seed=seed), SelectionRule(**some(SelectionRule), seed=split_seed)
    choose = partial(choose_classes, **some(choose_classes), seed=split_seed)
    scale = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    return SeenUnseenDataModule(source, view, choose=choose, rule=rule, **scale | settings)


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
