"""Silence for advice that does not apply here; our own warnings become notes."""

from __future__ import annotations

import logging
import warnings
from typing import TextIO

from unseen.runs.console import notice

_NOISY_LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch",
)
_BESIDE_THE_POINT = (
    ".*does not have many workers.*",  # the images are in memory, or the user chose the number
    ".*Checkpoint directory .* exists and is not empty.*",  # a resumed run continues in its folder
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # between Lightning and torch
    ".*smaller than the logging interval.*",  # a short run logs its first step
    ".*Encountered `nan` values in tensor.*",  # a diverged run says so itself
)


def quiet_libraries() -> None:
    """Turn Lightning's tips off; show a warning of ours as a note, each text once."""
    import lightning.pytorch  # noqa: F401  (its import sets the levels that are changed here)

    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _BESIDE_THE_POINT:
        warnings.filterwarnings("ignore", message=message)
    shown: set[str] = set()
    before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not category.__module__.startswith("unseen."):
            before(message, category, filename, lineno, file, line)
        elif str(message) not in shown:
            shown.add(str(message))
            notice(str(message))

    warnings.showwarning = show
