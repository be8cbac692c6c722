"""A run of any command: why it failed is in its folder, whatever ended it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.process_rank import is_first_process
from unseen.runs.console import fail, shown_path
from unseen.runs.ending import Ranks, begin_ending, end_on_signals, interruption, write_reason
from unseen.runs.errors import UserError, failure_sentence
from unseen.runs.loggers import close_loggers
from unseen.wording import one_line

if TYPE_CHECKING:
    from unseen.run_folder import RunFolder
    from unseen.runs.wandb_view import WandbView


@dataclass
class Record:
    """What is looked after while a run works: the other processes of a DDP job, and W&B's view, once there is one."""

    ranks: Ranks
    view: WandbView | None = None


@contextmanager
def recorded(folder: RunFolder, left: Callable[[], str]) -> Iterator[Record]:
    """Mark the folder as failed, with the reason, when the block raised or was stopped; close the loggers in any case.

    Args:
        folder: Of the run.
        left: Returns what an interrupted run leaves, and how it goes on, for the user.

    Raises:
        KeyboardInterrupt: The user or the system stopped it; the message is that of `left`.
        UserError: Another process of the run has failed; why.
    """

    def give_up(reason: str, code: int) -> None:
        """End from a thread: the main one waits inside a library."""
        with suppress(OSError):
            folder.write_summary("failed", reason)
        ranks.kill()
        fail(reason)
        os._exit(code)

    record = Record(ranks := Ranks(folder.path, give_up))
    end_on_signals(give_up)
    try:
        yield record
    except BaseException as error:
        begin_ending()
        stopped, of_another = isinstance(error, KeyboardInterrupt), ranks.reason_of(error)
        reason = of_another or (interruption()[0] if stopped else failure_sentence(error))
        reason = reason or f"{type(error).__name__}: {one_line(error)}"
        if not is_first_process():
            write_reason(folder.path, reason)
        close_loggers(record.view, failed=True)
        folder.write_summary("failed", reason)
        if of_another:
            raise UserError(of_another) from error
        if stopped:
            raise KeyboardInterrupt(left()) from None
        raise
    close_loggers(record.view, failed=False)


def left_measured(folder: Path) -> str:
    """Return what an interrupted run of biases.py or transfer.py leaves, and how it goes on."""
    shown = shown_path(folder)
    return f"what was measured is in {shown}; the same line with hydra.run.dir={shown} goes on"
