"""What is typed for report.py and dashboard.py: names and places for files, checked before any work."""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from unseen.runs.errors import UserError


def typed_text(config: DictConfig, key: str, *, optional: bool = False) -> str:
    """Return a setting that is a text; "" where it is null and may be.

    Raises:
        UserError: It is something else.
    """
    value = config[key]
    if value is None and optional:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # a name may look like a number
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise UserError(f"{key}={_shown(value)} must be a text" + (" or null" if optional else ""))
    return value


def typed_folders(config: DictConfig, key: str) -> list[Path]:
    """Return a setting that is a folder or a list of folders, all of which exist.

    Raises:
        UserError: It is something else, or one is not there.
    """
    value = config[key]
    several = list(value) if isinstance(value, ListConfig) else [value]
    if not several or not all(isinstance(one, str) and one.strip() for one in several):
        raise UserError(
            f"{key}={_shown(value)} must be a folder, or a list of folders such as [logs/a,logs/b]"
        )
    folders = [_path(key, one) for one in several]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"{key}={folder} is not a folder; name one that holds run folders, such as logs/train"
            )
    return folders


def typed_output(config: DictConfig, key: str, *, folder: bool) -> Path:
    """Return a setting that is a place to write to; nothing is made.

    Args:
        config: The settings.
        key: Which.
        folder: Whether a folder is written, else a file.

    Raises:
        UserError: Something else is there, or it cannot be written.
    """
    value = config[key]
    what = "folder" if folder else "file"
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{key}={_shown(value)} must be the name of a {what}")
    path = _path(key, value)
    if os.path.lexists(path) and not (path.is_dir() if folder else path.is_file()):
        raise UserError(f"{key}={value} is there already and is not a {what}")
    above = path if folder else path.parent
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise UserError(f"{key}={value}: {above} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"{key}={value} cannot be written: {above} is read-only for you")
    return path


def _path(key: str, text: str) -> Path:
    try:
        path = Path(text)
        os.path.lexists(path)
        path.is_dir()
    except (ValueError, OSError) as error:
        raise UserError(f"{key}={_shown(text)} is not a path: {error}") from error
    return path


def _shown(value: object) -> str:
    text = "null" if value is None else str(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 100 else text[:100] + "…"
