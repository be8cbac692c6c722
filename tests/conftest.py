"""Fixtures that several parts share."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.parsed_once import parse_once
from unseen.threads import settle_threads

parse_once()
settle_threads()  # before a test loads torch, and for every process that a test starts
# the tests, and the modules of each command, are compiled once, also where PYTHONDONTWRITEBYTECODE is set
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
gc.disable()  # until all tests and their libraries are loaded: Python would search them for garbage again and again


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with slow tests first: one that a worker takes last keeps the other one waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)  # stable: else the order stays


def pytest_collection_finish() -> None:
    """Look for garbage in what the tests make."""
    gc.enable()
    gc.freeze()


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
