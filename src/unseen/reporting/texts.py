"""Text of run folders on its way to a page, a terminal or a file name: whatever it holds, it can be shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePath
from types import NoneType

from unseen import wording

_SCALARS = (str, int, float, PurePath, NoneType)
_MOST_NAMES = 6  # classes that are named
_LONGEST_NAMES = 60  # characters
_LONGEST_FILE_NAME = 80  # characters


def printable(text: object, longest: int = 500) -> str:
    r"""Return a text of at most `longest` characters, with escapes in place of what cannot be shown.

    >>> printable("caf\udce9 \x1b[31m"), printable("abc", 2), printable([1])
    ('caf\\udce9 \\x1b[31m', 'ab…', 'a list')
    """
    if not isinstance(text, _SCALARS):  # a list may be nested deeper than repr can go
        return f"a {type(text).__name__}"
    cut = str(text)[: longest + 1]
    shown = wording.printable(cut)
    return shown if len(cut) <= longest else shown[:longest] + "…"


def quoted(value: object) -> str:
    """Return a value as a sentence names it: texts in quotes, of lists and tables the type.

    >>> quoted("vit"), quoted(None), quoted([1])
    ("'vit'", 'None', 'a list')
    """
    return printable(repr(value) if isinstance(value, _SCALARS) else value, 60)


def one_line(error: BaseException) -> str:
    """Return the message of an error without line breaks; of an OSError only what went wrong, not the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(wording.one_line(error), 200)


def file_name(*parts: str) -> str:
    """Return a name for a file or an anchor, short and free of slashes, the same for the same parts.

    Parts with other characters get a digest appended, so that two do not share a file.

    >>> file_name("calligraphy", "demo"), file_name("/../x", "demo")
    ('calligraphy_demo', 'x_demo_20368d')
    """
    plain = "_".join(parts)
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-")[:_LONGEST_FILE_NAME]
    return safe if safe == plain else f"{safe}_{digest(*parts)}"


def digest(*parts: str) -> str:
    """Return six hexadecimal digits that differ between lists of texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:6]


def class_names(classes: Sequence[str]) -> str:
    """Return the names of classes; of many the first ones and a digest.

    >>> class_names(["7", "8"]), class_names([str(n) for n in range(9)])
    ('7, 8', '0, 1, 2, … (9 classes, #4674a8)')
    """
    text = ", ".join(printable(name, 40) for name in classes)
    if len(classes) <= _MOST_NAMES and len(text) <= _LONGEST_NAMES:
        return text
    few = ", ".join(printable(name, 20) for name in classes[:3])
    return f"{few}, … ({len(classes)} classes, #{digest(*classes)})"
