"""The report of the command line: which folders, where to, and its summaries on the screen."""

from __future__ import annotations

import sys

from omegaconf import DictConfig

from unseen.runs.errors import UserError, user_errors
from unseen.runs.typed_words import typed_folders, typed_output


def report_job(config: DictConfig) -> None:
    """Make the report that `config` asks for and print its summaries.

    Raises:
        UserError: A folder does not exist, there is no run folder in any, or the report cannot be written.
    """
    roots = typed_folders(config, "runs")
    out = typed_output(config, "out", folder=True)
    from unseen.reporting.build import build_report  # the plotting library loads here, after the cheap checks
    from unseen.reporting.collect import find_folders
    from unseen.runs.console import console, shown_path

    if not find_folders(roots):
        names = ", ".join(str(root) for root in roots)
        raise UserError(f"no run folder (summary.json) below {names}; make one with python src/train.py")
    with user_errors(OSError):
        made = build_report(roots, out, command=sys.argv)
    screen = console()
    for sentence in made.summaries:
        screen.print(sentence, soft_wrap=True)
    screen.print(
        f"{made.runs} runs, {made.left_out} folders left out · page in {shown_path(made.page)}",
        soft_wrap=True,
    )
