"""Files that change settings of all groups, such as an experiment: mistakes that Hydra has no clear sentence for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import yaml

from unseen.regular_files import MEBIBYTE, read_text
from unseen.runs.errors import UserError

_GROUPS = ("experiment", "transfer_experiment", "hparams_search", "debug", "study", "induce", "size")
_HEADER = "# @package _global_"


def check_global_files(
    chosen: Mapping[str, str], options: Mapping[str, Collection[str]], folders: Sequence[Path]
) -> None:
    """Check the files that a line chooses, and `local/default.yaml`.

    Args:
        chosen: What is typed for each group, one name or several, by the groups as the folders are called.
        options: Names of all files by the groups that are typed.
        folders: With the groups in them; files that are in none are Hydra's to name.

    Raises:
        UserError: A file without the first line that such a file has, or with a group in place of its settings.
    """
    files = [
        f"{group}/{name}.yaml"
        for group, typed in chosen.items()
        if group.split("/")[0] in _GROUPS
        for name in re.split(r"[\[\]'\",\s]+", typed)
    ]
    for file in (*files, "local/default.yaml"):
        for folder in folders:
            if (folder / file).is_file():
                _check(folder / file, options)


def _check(path: Path, options: Mapping[str, Collection[str]]) -> None:
    try:
        text = read_text(path, MEBIBYTE)
        content = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return  # Hydra reads it, too, and its error is told
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Hydra looks no further than the first line that is none of its own
    head = next((number for number, line in enumerate(lines) if not re.match(r"#\s*@", line)), len(lines))
    if not any(re.fullmatch(r"#+\s*@package\s+_global_", line) for line in lines[:head]):
        raise UserError(f"{path} changes settings of other groups: its first line must be {_HEADER}")
    for group, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, str) and value in options.get(group, ()) and group not in _GROUPS:
            raise UserError(
                f"{path}: {group}: {value} would replace the settings of the group by a text; write it under "
                f"defaults:, as - override /{group}: {value}"
            )
