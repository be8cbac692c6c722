"""config.yaml of a run: plain settings, however the file came about."""

from __future__ import annotations

import math
import re
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.facts import check_path

_LARGEST_FILE = MEBIBYTE
_MOST_EVENTS = 50_000  # a configuration has some 500
_DEEPEST = 40
_LARGEST = 2**64
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast
_HALF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a config.yaml: tables with text keys, lists, texts, numbers, true, false and null.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
        ValueError: It is not what a run writes; the sentence says where.
    """
    # a path that is not UTF-8 is written with escapes that YAML's own reader refuses
    text = _HALF_A_PAIR.sub(r"\\ufffd", read_text(path, _LARGEST_FILE))
    try:
        _check_shape(text)
        content = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(content, dict):
        raise ValueError("holds no settings")
    plain: dict[str, Any] = _plain(content)
    if not isinstance(plain.get("paths") or {}, dict):
        raise ValueError("paths is not a table of settings")
    checkpoint = plain.get("ckpt_path")
    if checkpoint is not None and not isinstance(checkpoint, str):
        raise ValueError("ckpt_path is not a path")
    check_path(checkpoint or "")
    return plain


def _check_shape(text: str) -> None:
    """Refuse what would fill the memory or the stack when it is loaded.

    A few lines with aliases can stand for billions of items, and the C loader calls itself at each level.
    """
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"has an alias (*{event.anchor}); a run writes none")
        depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
        if depth > _DEEPEST:
            raise ValueError(f"has more than {_DEEPEST} levels")
        if number >= _MOST_EVENTS:
            raise ValueError(f"has more than {_MOST_EVENTS:,} items")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, date):  # a text that looks like one; a datetime is a date, too
        return value.isoformat()
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise ValueError("has a number of more than 64 bits")
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and not math.isnan(value)):
        return value
    raise ValueError(f"has a {type(value).__name__} ({value}) where a setting is expected")


def _key(key: Any) -> str:
    if not isinstance(key, str | int | float):
        raise ValueError("has a key that is no text")
    return str(key)
