"""Images by a table: a CSV file with their paths and their classes."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from unseen.data.catalog import Catalog, Counts, Entry, ImageSource, Part
from unseen.data.files import file_stamps
from unseen.data.images import decode
from unseen.regular_files import MEBIBYTE, read_bytes, read_text
from unseen.wording import listing

_LARGEST = 512 * MEBIBYTE  # of the table, and of an image
_PARTS: dict[str, Part] = {
    "train": "train",
    "test": "test",
    "val": "test",
    "valid": "test",
    "validation": "test",
}


@dataclass(frozen=True)
class CsvTable(ImageSource):
    """A file with the columns `path`, `label` and maybe `split` (train, test or val); others are not read.

    Attributes:
        root: The CSV file; paths in it start from its folder.
    """

    root: str | None = None

    def check(self) -> None:
        """Refuse a table that is missing, or lacks a column."""
        self._rows()

    def known_counts(self) -> Counts:
        """Return the number of images by class and part."""
        return self.list().counts()

    def list(self) -> Catalog:
        """Return every row."""
        return Catalog.of([Entry(path, label, part) for path, label, part in self._rows()])

    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB."""
        return decode(read_bytes(self._folder / reference, _LARGEST))

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return a text for each file that changes with its content."""
        return file_stamps(self._folder / reference for reference in references)

    @property
    def _folder(self) -> Path:
        return Path(str(self.root)).expanduser().absolute().parent

    def _rows(self) -> tuple[tuple[str, str, Part], ...]:
        if self.root is None:
            raise ValueError("data.root is missing: write data.root=path/to/table.csv")
        path = Path(self.root).expanduser()
        if not path.is_file():
            raise ValueError(f"data.root={self.root} is not a file")
        return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int) -> tuple[tuple[str, str, Part], ...]:
    """Return path, label and part of each row."""
    table = csv.DictReader(io.StringIO(read_text(path, _LARGEST), newline=""))
    try:
        return _checked(table, path)
    except csv.Error as error:
        raise ValueError(
            f"data.root={path}, after line {table.line_num}: {error}; is a quote not closed?"
        ) from error


def _checked(table: csv.DictReader[str], path: Path) -> tuple[tuple[str, str, Part], ...]:
    columns = [name.strip().lower() for name in table.fieldnames or ()]
    if missing := [name for name in ("path", "label") if name not in columns]:
        separated = "" if len(columns) > 1 else "; columns are separated by commas"
        raise ValueError(
            f"data.root={path} lacks {' and '.join(missing)} in its first line; it needs the columns path and label, "
            f"and may have split; it has {listing(columns) or 'none'}{separated}"
        )
    if twice := [name for name in ("path", "label", "split") if columns.count(name) > 1]:
        raise ValueError(f"data.root={path} has the column {twice[0]} twice")
    table.fieldnames = columns
    rows: dict[str, tuple[str, str, Part]] = {}
    divided = "split" in columns
    for row in table:
        where = f"data.root={path}, line {table.line_num}"
        if any(row.get(None) or ()):  # what is beyond the last column, where programs leave empty cells
            raise ValueError(
                f"{where}: more values than the first line has columns; a value with a comma in it needs quotes"
            )
        image, label = (row["path"] or "").strip(), (row["label"] or "").strip()
        part = _PARTS.get((row["split"] or "").strip().lower()) if divided else "whole"
        if not image or not label:
            raise ValueError(f"{where}: path and label must not be empty")
        if part is None:
            raise ValueError(f"{where}: split={row['split']!r} is not one of train, test, val")
        place = os.path.normpath(path.absolute().parent / image)  # ./cat/1.png is cat/1.png
        if place in rows:
            raise ValueError(f"{where}: {image} is there twice")
        rows[place] = (image, label, part)
    if not rows:
        raise ValueError(f"data.root={path} has no rows")
    return tuple(rows.values())
