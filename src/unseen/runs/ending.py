"""The end of a command: a signal ends it as Ctrl-C does, and the ranks of a DDP job end together, with a reason.

Python runs a signal's handler between two of its own steps. A process that waits inside a library, such as for another
rank, reaches none; so a thread watches, and ends it by force. Lightning kills all ranks five seconds after one
has ended and gives no reason; the two functions of its launcher that are replaced here are private, and tests with
real processes fail when they change.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from unseen.atomic_files import write_text
from unseen.regular_files import MEBIBYTE, read_text
from unseen.runs.project import interpreter_of
from unseen.runs.sweeps.processes import PARENT
from unseen.runs.typed_line import override

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_GRACE_SECONDS = 3.0  # to notice that it has to end
_CLOSING_SECONDS = 30.0  # to write checkpoints and to close the loggers
_POLL_SECONDS = 0.2
_NEWS_SECONDS = 3.0  # a lost connection is noticed before the process at its other end has ended
_LOST = ("closed by peer", "reset by peer", "gloo", "nccl", "tcpstore", "socket", "broken pipe")
_received: list[signal.Signals] = []
_begun = threading.Event()

GiveUp = Callable[[str, int], None]  # ends the process at once, given the reason and the exit code


def end_on_signals(give_up: GiveUp | None = None) -> None:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt in this process, unless they are ignored (nohup).

    Args:
        give_up: Called from a thread when the process does not end by itself. None starts no thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    numbers = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
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
        return "interrupted", 128 + signal.SIGINT
    return f"terminated ({_received[0].name})", 128 + _received[0]


def begin_ending() -> None:
    """Record that this process has noticed that it has to end."""
    _begun.set()


def _interrupt(number: int, _: FrameType | None) -> None:
    _received.append(signal.Signals(number))
    if len(_received) == 1:  # a second one must not disturb the end that the first has begun
        begin_ending()
        raise KeyboardInterrupt


def _watch(reading: int, numbers: list[signal.Signals], give_up: GiveUp) -> None:
    while True:
        received = os.read(reading, 64)
        for number in (number for number in numbers if number in received):
            _end_by_force(f"terminated ({number.name})", 128 + number, give_up)


def _end_by_force(reason: str, code: int, give_up: GiveUp) -> None:
    """Wait in a thread for this process to end by itself; if it does not, call `give_up`."""
    if _begun.wait(_GRACE_SECONDS):
        time.sleep(_CLOSING_SECONDS)
    give_up(reason, code)


def _forget() -> None:
    """Give a forked child, such as a loader's worker, the signals' usual effect."""
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


class Ranks:
    """The processes of a DDP job that Lightning's launcher starts beside this one.

    Args:
        folder: Of the run; a rank that fails writes its reason there.
        give_up: Called when another rank has failed and this process does not end by itself.
    """

    def __init__(self, folder: Path, give_up: GiveUp) -> None:
        self._folder = folder
        self._give_up = give_up
        self._processes: Sequence[subprocess.Popen[bytes]] = ()

    def look_after(self, trainer: Trainer) -> None:
        """Watch the processes that `trainer` will start, and keep our handlers of the signals."""
        from lightning.pytorch.strategies.launchers import subprocess_script as launcher

        os.environ[PARENT] = str(os.getpid())
        private: Any = launcher
        private._launch_process_observer = self._begin
        private._hydra_subprocess_cmd = _command_of_rank
        signals: Any = trainer._signal_connector
        signals.register_signal_handlers = _without_sigterm(signals.register_signal_handlers)

    def reason_of(self, error: BaseException) -> str | None:
        """Return why another rank has ended, where the error is a lost connection to it; None for other errors."""
        if not self._processes or not isinstance(error, RuntimeError):
            return None
        if not any(sign in str(error).lower() for sign in _LOST):
            return None
        end = time.monotonic() + _NEWS_SECONDS
        while (reason := self._first_failure()) is None and time.monotonic() < end:
            time.sleep(0.05)
        return reason

    def kill(self) -> None:
        """Kill the other ranks."""
        for process in self._processes:
            with suppress(OSError):
                process.kill()

    def _begin(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._processes = processes
        for rank in range(1, len(processes) + 1):
            _reason_path(self._folder, rank).unlink(missing_ok=True)
        threading.Thread(target=self._watch, name="ranks", daemon=True).start()

    def _watch(self) -> None:
        while any(process.poll() is None for process in self._processes) and self._first_failure() is None:
            time.sleep(_POLL_SECONDS)
        if reason := self._first_failure():
            _end_by_force(reason, 1, self._give_up)

    def _first_failure(self) -> str | None:
        for rank, process in enumerate(self._processes, start=1):
            if code := process.poll():
                how = how_killed(code) if code < 0 else f"ended with exit code {code}"
                with suppress(OSError, ValueError):
                    how = f"failed: {read_text(_reason_path(self._folder, rank), MEBIBYTE)}"
                return f"process {rank} of 0..{len(self._processes)} {how}"
        return None


def write_reason(folder: Path, reason: str) -> None:
    """Write for the first process why this one fails."""
    with suppress(OSError):
        write_text(_reason_path(folder, int(os.environ.get("LOCAL_RANK", "0"))), reason)


def how_killed(code: int) -> str:
    """Return which signal ended a process.

    >>> how_killed(-9)
    'was killed by SIGKILL (out of memory, or by hand)'
    """
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}" + (" (out of memory, or by hand)" if name == "SIGKILL" else "")


def _reason_path(folder: Path, rank: int) -> Path:
    return folder / f".process-{rank}.reason"


def _command_of_rank(local_rank: int) -> tuple[list[str], str]:
    """Return the command and the working folder of a rank: Lightning's own does not quote the run folder."""
    config = HydraConfig.get()
    own = [
        override("hydra.run.dir", str(config.runtime.output_dir)),
        f"hydra.job.name=train_ddp_process_{local_rank}",
        "hydra.output_subdir=null",
    ]
    folder = Path(config.runtime.cwd)
    return [*interpreter_of(sys.argv[0], folder), *sys.argv[1:], *own], str(folder)


def _without_sigterm(register: Callable[[], None]) -> Callable[[], None]:
    """Return Lightning's function without its handler of SIGTERM, which waits for the other ranks inside it."""

    def registered() -> None:
        ours = signal.getsignal(signal.SIGTERM)
        register()
        signal.signal(signal.SIGTERM, ours)

    return registered
