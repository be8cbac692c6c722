"""A run of biases.py or transfer.py: why it failed is in its folder, whatever ended it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from unseen.runs.console import shown_path
from unseen.runs.ending import begin_ending, end_on_signals, interruption
from unseen.runs.errors import failure_sentence
from unseen.runs.loggers import close_loggers
from unseen.wording import one_line

if TYPE_CHECKING:
    from unseen.run_folder import RunFolder


@contextmanager
def recorded(folder: RunFolder, goes_on: str = "") -> Iterator[None]:
    """Mark the folder as failed, with the reason, when the block raised or was stopped; close the loggers in any case.

    Args:
        folder: Of the run.
        goes_on: How an interrupted run goes on, for the user; empty: it does not.

    Raises:
        KeyboardInterrupt: The user or the system stopped it; the message says what is left.
    """

    def give_up(reason: str, code: int) -> None:
        """End from a thread: the main one waits inside a library."""
        with suppress(OSError):
            folder.write_summary("failed", reason)
        os._exit(code)

    end_on_signals(give_up)
    try:
        yield
    except BaseException as error:
        begin_ending()
        stopped = isinstance(error, KeyboardInterrupt)
        reason = interruption()[0] if stopped else failure_sentence(error)
        close_loggers(None, failed=True)
        folder.write_summary("failed", reason or f"{type(error).__name__}: {one_line(error)}")
        if stopped:
            left = f"what was measured is in {shown_path(folder.path)}"
            raise KeyboardInterrupt(f"{left}; {goes_on}" if goes_on else left) from None
        raise
    close_loggers(None, failed=False)
