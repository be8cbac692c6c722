"""A sheet of small pictures, a row a class: a run writes it once, and the report shows the rows.

Legend: C classes, S side of a picture in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from unseen.regular_files import MEBIBYTE, read_bytes

FILE = "unseen_classes.webp"
COLUMNS = 6
MOST_CLASSES = 30
LARGEST_SIDE = 48
_WHITE = (255, 255, 255)
_LARGEST_FILE = MEBIBYTE  # pictures of pure noise take a third of it


def write_sheet(rows: Sequence[Sequence[Image.Image]], file: BinaryIO) -> None:
    """Write a sheet of the first 30 classes as WebP.

    Args:
        rows: For each of C classes at most 6 square RGB pictures, all of one side S of at most 48.
        file: Open for writing.

    Raises:
        OSError: The disk does not take it, or Pillow was built without WebP.
    """
    rows = rows[:MOST_CLASSES]
    side = rows[0][0].width
    sheet = Image.new("RGB", (COLUMNS * side, len(rows) * side), _WHITE)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures[:COLUMNS]):
            sheet.paste(picture, (column * side, row * side))
    try:
        sheet.save(file, format="WEBP", quality=80)
    except KeyError as error:  # the format is not known
        raise OSError("Pillow was built without WebP") from error


def read_sheet(path: Path, classes: int) -> list[Image.Image]:
    """Return the rows of a sheet, each an RGB picture of 6 S x S pixels; nothing in the file is trusted.

    Args:
        path: Of the file.
        classes: C; rows of the first 30 are expected.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not what a run writes.
    """
    content = read_bytes(path, _LARGEST_FILE)
    try:
        sheet = Image.open(BytesIO(content), formats=["WEBP"])
        side, rows = sheet.width // COLUMNS, min(classes, MOST_CLASSES)
        expected = 1 <= side <= LARGEST_SIDE and sheet.size == (COLUMNS * side, rows * side)
        pixels = sheet.convert("RGB") if expected else None
    except Exception as error:  # whatever a decoder raises
        raise ValueError(f"{path.name} is damaged ({error})") from error
    if pixels is None:
        raise ValueError(
            f"{path.name} has {sheet.width} x {sheet.height} pixels, which is no sheet of {rows}"
        )
    return [pixels.crop((0, row * side, COLUMNS * side, (row + 1) * side)) for row in range(rows)]
