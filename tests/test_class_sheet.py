"""The sheet of pictures of classes: what is written is read again, and nothing else is."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unseen.class_sheet import COLUMNS, FILE, MOST_CLASSES, read_sheet, write_sheet

COLOURS = ((200, 30, 30), (30, 160, 40), (40, 60, 220))


def written(folder: Path, rows: list[list[Image.Image]]) -> Path:
    path = folder / FILE
    with path.open("wb") as file:
        write_sheet(rows, file)
    return path


def plain(colour: tuple[int, int, int], side: int = 48) -> Image.Image:
    return Image.new("RGB", (side, side), colour)


@pytest.mark.parametrize("side", [8, 32, 48])
def test_rows_are_those_that_were_written(tmp_path: Path, side: int) -> None:
    rows = [[plain(colour, side)] * number for colour, number in zip(COLOURS, (6, 2, 9), strict=True)]
    read = read_sheet(written(tmp_path, rows), 3)
    assert [row.size for row in read] == [(COLUMNS * side, side)] * 3
    for row, colour, number in zip(read, COLOURS, (6, 2, 6), strict=True):
        pixels = np.asarray(row, dtype=int)
        inner = slice(side // 4, side // 2)  # the format blurs edges
        for column in range(COLUMNS):
            expected = colour if column < number else (255, 255, 255)
            mean = pixels[inner, column * side :][:, inner].mean((0, 1))
            np.testing.assert_allclose(mean, expected, atol=6)


def test_of_many_classes_the_first_are_kept_in_a_small_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)) for _ in range(6)]
    path = written(tmp_path, [noise] * (MOST_CLASSES + 5))
    assert len(read_sheet(path, MOST_CLASSES + 5)) == MOST_CLASSES
    assert path.stat().st_size < 400_000  # of pure noise; photographs take a third


def as_file(picture: Image.Image, kind: str = "WEBP") -> bytes:
    file = io.BytesIO()
    picture.save(file, format=kind)
    return file.getvalue()


SHEET = Image.new("RGB", (6 * 16, 3 * 16))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is damaged"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is damaged"),
        (as_file(SHEET, "PNG"), "is damaged"),
        (as_file(SHEET)[:60], "is damaged"),
        (as_file(SHEET.resize((6 * 16, 2 * 16))), "has 96 x 32 pixels, which is no sheet of 3"),
        (as_file(SHEET.resize((95, 48))), "has 95 x 48 pixels"),
        (as_file(SHEET.resize((6 * 49, 3 * 49))), "has 294 x 147 pixels"),
        (as_file(Image.new("RGB", (6, 16383))), "has 6 x 16383 pixels"),
        (b"RIFF" + bytes(2 * 2**20), "more than 1 MiB"),
    ],
    ids=["empty", "svg", "png", "cut", "a class less", "not six", "large", "long", "huge"],
)
def test_what_is_no_sheet_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read_sheet(tmp_path / FILE, 3)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(ValueError, match="named pipe"):
        read_sheet(tmp_path / FILE, 3)
