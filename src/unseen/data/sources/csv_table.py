"""Images by a table: a CSV file with their paths and their classes."""

from __future__ import annotations

import csv
import io
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
    columns = [name.strip().lower() for name in table.fieldnames or ()]
    if missing := {"path", "label"} - set(columns):
        raise ValueError(
            f"data.root={path} lacks the column {listing(sorted(missing))}; it needs path and label, and may have "
            f"split; it has {listing(columns) or 'none'}"
        )
    table.fieldnames = columns
    rows: dict[str, tuple[str, str, Part]] = {}
    divided = "split" in columns
    for row in table:
        image, label = (row["path"] or "").strip(), (row["label"] or "").strip()
        part = _PARTS.get((row["split"] or "").strip().lower()) if divided else "whole"
        where = f"data.root={path}, line {table.line_num}"
        if not image or not label:
            raise ValueError(f"{where}: path and label must not be empty")
        if part is None:
            raise ValueError(f"{where}: split={row['split']!r} is not one of train, test, val")
        if image in rows:
            raise ValueError(f"{where}: {image} is there twice")
        rows[image] = (image, label, part)
    if not rows:
        raise ValueError(f"data.root={path} has no rows")
    return tuple(rows.values())
