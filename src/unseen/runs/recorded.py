"""A run of biases.py or transfer.py: why it failed is in its folder, whatever ended it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from unseen.process_rank import is_first_process
from unseen.runs.console import fail, shown_path
from unseen.runs.ending import Ranks, begin_ending, end_on_signals, interruption, write_reason
from unseen.runs.errors import UserError, failure_sentence
from unseen.runs.loggers import close_loggers
from unseen.wording import one_line

if TYPE_CHECKING:
    from unseen.run_folder import RunFolder


@contextmanager
def recorded(folder: RunFolder, goes_on: str = "") -> Iterator[Ranks]:
    """Mark the folder as failed, with the reason, when the block raised or was stopped; close the loggers in any case.

    Gives what looks after the other processes of a run, once there is a trainer that starts them.

    Args:
        folder: Of the run.
        goes_on: How an interrupted run goes on, for the user; empty: it does not.

    Raises:
        KeyboardInterrupt: The user or the system stopped it; the message says what is left.
        UserError: Another process of the run has failed; why.
    """

    def give_up(reason: str, code: int) -> None:
        """End from a thread: the main one waits inside a library."""
        with suppress(OSError):
            folder.write_summary("failed", reason)
        ranks.kill()
        fail(reason)
        os._exit(code)

    ranks = Ranks(folder.path, give_up)
    end_on_signals(give_up)
    try:
        yield ranks
    except BaseException as error:
        begin_ending()
        stopped, of_another = isinstance(error, KeyboardInterrupt), ranks.reason_of(error)
        reason = of_another or (interruption()[0] if stopped else failure_sentence(error))
        reason = reason or f"{type(error).__name__}: {one_line(error)}"
        if not is_first_process():
            write_reason(folder.path, reason)
        close_loggers(None, failed=True)
        folder.write_summary("failed", reason)
        if of_another:
            raise UserError(of_another) from error
        if stopped:
            left = f"what was measured is in {shown_path(folder.path)}"
            raise KeyboardInterrupt(f"{left}; {goes_on}" if goes_on else left) from None
        raise
    close_loggers(None, failed=False)
