"""Rows of a scores.csv of unknown origin: values of measures with their intervals, each checked before it is used."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.run_files import Name, checked

_LARGEST_TABLE = 64 * MEBIBYTE
LARGEST = 1e12  # of any number
ROUNDING = 1e-6  # a share that was computed in single precision may exceed 1 by this


def _or_nan(cell: object) -> object:
    return math.nan if cell == "" else cell


Maybe = Annotated[float, BeforeValidator(_or_nan)]  # NaN for an empty cell


class MeasuredRow(BaseModel):
    """A value with its interval; NaN where there is no value or no interval."""

    model_config = ConfigDict(frozen=True)

    measure: Name
    value: Maybe
    low: Maybe
    high: Maybe

    @property
    def place(self) -> str:
        """What it is a value of, in words; no two rows of a file are of the same."""
        return self.measure

    @property
    def known(self) -> list[float]:
        """The value and the ends of its interval, as far as there are such."""
        return [number for number in (self.value, self.low, self.high) if not math.isnan(number)]

    @property
    def wrong(self) -> str:
        """What no run writes."""
        if not all(abs(number) <= LARGEST for number in self.known):
            return "a number that is not finite, or above 1e12"
        if math.isnan(self.low) != math.isnan(self.high) or self.low > self.high:
            return "an interval that ends before it begins"
        return ""


_Row = TypeVar("_Row", bound=MeasuredRow)


def read_checked_rows(path: Path, kind: type[_Row], columns: Sequence[str]) -> list[_Row]:
    """Return the rows of a file.

    Args:
        path: A CSV file of at most 64 MiB.
        kind: Of rows.
        columns: That it must have; others are not looked at.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not what a run writes; one sentence that names the row.
        csv.Error: It is no CSV.
    """
    rows = [checked(kind, cells) for cells in read_cells(path, columns)]
    places: set[str] = set()
    for row in rows:
        if row.wrong:
            raise ValueError(f"{row.place} has {row.wrong}")
        if row.place in places:
            raise ValueError(f"{row.place} is there twice")
        places.add(row.place)
    return rows


def read_cells(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a file by column, without what a cut row lacks; raises as `read_checked_rows`."""
    heading, *rows = [*csv.reader(StringIO(read_text(path, _LARGEST_TABLE)))] or [[]]
    if missing := [column for column in columns if column not in heading]:
        raise ValueError(f"it has no column {', '.join(missing)}")
    return [dict(zip(heading, cells, strict=False)) for cells in rows]
