"""A command that is asked to end: by a signal it ends as after Ctrl-C, and where that cannot be, by force.

Python runs a signal's handler between two of its own steps. A process that waits inside a library, for another rank
of its job say, comes to none, so a thread watches and ends it from outside.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130  # what a shell reports after Ctrl-C
_ASKING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_GRACE_SECONDS = 3.0  # to notice that it has to end
_CLOSING_SECONDS = 30.0  # to write checkpoints and to close the loggers

GiveUp = Callable[[str, int], None]

_received: list[signal.Signals] = []
_left: list[str] = []
_begun = threading.Event()


def end_on_signals(give_up: GiveUp | None = None) -> None:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt in this process, unless they are ignored (nohup).

    Args:
        give_up: Ends the process at once, given the reason and the exit code; called from a thread when the process
            does not end by itself. None starts no thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    numbers = [number for number in _ASKING if signal.getsignal(number) != signal.SIG_IGN]
    for number in numbers:
        signal.signal(number, _interrupt)
    if give_up is not None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(reading, numbers, give_up), name="ending", daemon=True).start()
        os.register_at_fork(after_in_child=_forget)


def interruption() -> tuple[str, int]:
    """Return the reason and the exit code of a command that a signal has ended."""
    if not _received:
        return "interrupted", INTERRUPTED
    return f"terminated ({_received[0].name})", 128 + _received[0]


def say_what_is_left(sentence: str) -> None:
    """Set what a command says, after the reason, if it is interrupted from now on."""
    _left[:] = [sentence]


def what_is_left() -> str:
    """Return what an interrupted command leaves behind and how to go on."""
    return _left[0] if _left else "nothing was begun"


def begin_ending() -> None:
    """Say that this process has noticed that it has to end."""
    _begun.set()


def end_by_force(reason: str, code: int, give_up: GiveUp) -> None:
    """Wait for this process to end by itself; if it does not, call `give_up`. Called from a thread."""
    if _begun.wait(_GRACE_SECONDS):
        time.sleep(_CLOSING_SECONDS)
    give_up(reason, code)


def _interrupt(number: int, _: FrameType | None) -> None:
    _received.append(signal.Signals(number))
    if len(_received) == 1:  # a second one must not disturb the end that the first has begun
        begin_ending()
        raise KeyboardInterrupt


def _watch(reading: int, numbers: list[signal.Signals], give_up: GiveUp) -> None:
    while True:
        for number in os.read(reading, 64):
            if number in numbers:
                name = signal.Signals(number).name
                end_by_force(f"terminated ({name})", 128 + number, give_up)


def _forget() -> None:
    """Leave a forked child, such as a loader's worker, with the signals' usual effect."""
    signal.set_wakeup_fd(-1)
    for number in _ASKING:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)
