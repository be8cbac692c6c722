"""Wording of messages: lists of names, numbers with a noun, "did you mean", errors on one line."""

from __future__ import annotations

import difflib
import re
import shlex
import sys
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


def suggestion(value: object, allowed: Iterable[str], most: int = 1) -> str:
    """Return ' (did you mean X?)' with at most `most` of the allowed names that are nearest to `value`, else ''.

    >>> suggestion("Popy", ["poppy", "rose"]), suggestion("x", ["poppy"]), suggestion("vti", ["vit", "vti_b"], 2)
    (' (did you mean poppy?)', '', ' (did you mean vti_b or vit?)')
    """
    by_lower = {name.lower(): name for name in reversed(list(allowed))}
    near = difflib.get_close_matches(str(value).lower(), by_lower, n=most, cutoff=0.6)
    return f" (did you mean {' or '.join(by_lower[name] for name in near)}?)" if near else ""


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return the number with its noun in the right form.

    >>> count(1, "image"), count(9100, "image"), count(2, "class", "classes")
    ('1 image', '9,100 images', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def about_left(seconds: float) -> str:
    """Return about how long something still takes.

    >>> about_left(89), about_left(361)
    ('about 89 s left', 'about 6 min left')
    """
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


def command_line_of(words: Sequence[str]) -> str:
    """Return a command as it is typed, of the words of its `sys.argv`.

    >>> command_line_of(["src/train.py", "data.root=my photos"]), command_line_of(["unseen eval", "seed=1"])
    ("python src/train.py 'data.root=my photos'", 'unseen eval seed=1')
    """
    entry, *rest = words
    words = entry.split() if entry.startswith("unseen ") else ["python", entry]
    return shlex.join([*words, *rest])


def as_typed(text: str) -> str:
    """Return a text in which `python src/NAME.py` is `unseen NAME` where this command was typed so."""
    if not sys.argv[0].startswith("unseen "):
        return text
    return re.sub(r"python src/(\w+)\.py", r"unseen \1", text)


def one_line(error: BaseException) -> str:
    """Return the error's text on one line, its class name where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
