"""Wording for messages about names that were typed wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_SHOWN = 12


def listing(names: Iterable[object], shown: int = _SHOWN) -> str:
    """Return the names with commas, shortened in the middle when there are many.

    >>> listing(["ant", "bee", "cat"])
    'ant, bee, cat'
    >>> listing(range(100), shown=4)
    '0, 1, 2, ... 99 (100 in all)'
    """
    texts = [printable(str(name)) for name in names]
    if len(texts) <= shown:
        return ", ".join(texts)
    return f"{', '.join(texts[: shown - 1])}, ... {texts[-1]} ({len(texts)} in all)"


def printable(name: str) -> str:
    r"""Return a name that any screen and file can take: control characters and broken bytes as escapes.

    >>> printable("cat\n"), printable("Füchse"), printable(b"\xff".decode("utf-8", "surrogateescape"))
    ('cat\\n', 'Füchse', '\\udcff')
    """
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def suggestion(value: object, allowed: Sequence[str]) -> str:
    """Return ', did you mean X?' where X is the allowed name nearest to `value`, else ''.

    >>> suggestion("popy", ["poppy", "rose"])
    ', did you mean poppy?'
    """
    by_lower = {name.lower(): name for name in reversed(allowed)}
    near = difflib.get_close_matches(str(value).lower(), list(by_lower), n=1, cutoff=0.6)
    return f", did you mean {by_lower[near[0]]}?" if near else ""


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return the number with its noun in the right form.

    >>> count(1, "image"), count(9100, "image"), count(2, "class", "classes")
    ('1 image', '9,100 images', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
