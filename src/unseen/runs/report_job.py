"""The report of the command line: which folders, where to, and the answer on the screen."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from unseen.runs.errors import UserError


def report_job(config: DictConfig) -> None:
    """Make the report that `config` asks for and print its answer.

    Raises:
        UserError: A folder does not exist, or there is no run folder in any.
    """
    roots = _folders(config.runs)
    out = Path(str(config.out))
    for root in roots:
        if not root.is_dir():
            raise UserError(
                f"runs={root} is not a folder; name one that holds run folders, such as logs/train"
            )
    from unseen.reporting.build import build_report  # the plotting library loads here, after the cheap checks
    from unseen.reporting.collect import find_folders
    from unseen.runs.console import console, shown_path

    if not find_folders(roots):
        names = ", ".join(str(root) for root in roots)
        raise UserError(f"no run folder (summary.json) below {names}; make one with python src/train.py")
    made = build_report(roots, out, command=sys.argv)
    screen = console()
    for sentence in made.answers:
        screen.print(sentence, soft_wrap=True)
    screen.print(
        f"{made.runs} runs, {made.left_out} folders left out · page in {shown_path(made.page)}",
        soft_wrap=True,
    )


def _folders(value: object) -> list[Path]:
    several: Iterable[object] = value if isinstance(value, ListConfig) else [value]
    return [Path(str(one)) for one in several]
