"""Fixtures that several parts share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a class of small pictures: each class has a colour of its own, with noise."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, name in enumerate(("bear", "cat", "dog", "fox", "owl")):
        (root / name).mkdir()
        for picture in range(20):
            pixels = rng.integers(0, 80, (40, 48, 3)) + np.array([number * 40, 160 - number * 40, 60])
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{picture:02d}.png")
    return root
