"""Files that are whole or absent, whenever the process is killed; JSON and CSV texts for them."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

_OPENS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write_file(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Write `path` through a temporary file in the same folder, which `write` fills.

    A reader sees the old file or the new one, never a part. A full or read-only disk raises OSError and leaves
    the old file.

    Args:
        path: What to write.
        write: Gets the open file.
        durable: Wait until the disk has it, so that it survives a power cut, too.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # the error of a full disk has none
        raise


def clear_leftovers(folder: Path) -> None:
    """Remove what killed processes left of files in `folder`. No other process may be writing there."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):
            part.unlink()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, as `write_file` does."""
    write_file(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary as indented JSON, NaN and infinity as null (JSON has no such numbers)."""
    write_text(path, json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (not math.isfinite(value)):
        return None
    return value


def csv_text(heading: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    r"""Return a table as CSV in which no text is a formula when it is opened in a spreadsheet.

    A text that begins with one of = + - @ (also in full width), a tab or a line break, after spaces or not, gets an
    apostrophe in front, by which spreadsheets know text. Numbers are left as they are.

    >>> csv_text(["job", "g"], [["+a=1", -0.5], ["vit", None]])
    "job,g\n'+a=1,-0.5\nvit,\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(map(_no_formula, row) for row in rows)
    return text.getvalue()


def _no_formula(cell: object) -> object:
    is_formula = isinstance(cell, str) and cell.lstrip(" ").startswith(_OPENS_A_FORMULA)
    return f"'{cell}" if is_formula else cell
