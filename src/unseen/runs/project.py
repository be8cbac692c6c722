"""Where the settings are and where results go: in a clone of the repository, or for an installed package."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CLONE = _PACKAGE.parents[1]  # of src/unseen
IN_CLONE = _PACKAGE.parent.name == "src" and (_CLONE / "configs").is_dir()
CONFIGS = _CLONE / "configs" if IN_CLONE else _PACKAGE / "configs"  # setup.py puts them there
# Of logs/, data/ and .env.
PROJECT_ROOT = _CLONE if IN_CLONE else Path.cwd()


def entry_of(config_name: str) -> str:
    """Return the first word of this command, as `sys.argv` has it: a script of the clone, or `unseen NAME`."""
    return str(_CLONE / "src" / f"{config_name}.py") if IN_CLONE else f"unseen {config_name}"


def interpreter_of(entry: str, folder: Path) -> list[str]:
    """Return the words that start an entry in a process of its own.

    Args:
        entry: First word of `sys.argv`.
        folder: In which the command was typed.
    """
    if not entry.startswith("unseen "):
        return [sys.executable, str(folder / entry)]
    # -m would put the folder first on the path, where a random.py of the user's would hide Python's own
    safe = [] if {"", str(folder)} & set(sys.path) else ["-P"]
    return [sys.executable, *safe, "-m", *entry.split()]
