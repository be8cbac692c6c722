"""The other processes of a DDP job that this one starts: told apart when they end, and never left behind.

Lightning looks after them only by killing everything five seconds after one has ended, which leaves no reason. The
two functions of its launcher that are replaced here are private; tests with real processes notice when they change.
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
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from unseen.atomic_files import write_text
from unseen.regular_files import MEBIBYTE, read_text
from unseen.runs.ending import GiveUp, end_by_force
from unseen.runs.isolation import PARENT
from unseen.runs.overrides import override

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_POLL_SECONDS = 0.2
_NEWS_SECONDS = 3.0  # the first process hears of a lost connection before the other one has ended
_LOST = ("closed by peer", "reset by peer", "gloo", "nccl", "tcpstore", "socket", "broken pipe")


class Ranks:
    """The processes that Lightning's launcher starts beside this one.

    Args:
        folder: Of the run; a rank that fails leaves its reason there.
        give_up: Ends this process at once.
    """

    def __init__(self, folder: Path, give_up: GiveUp) -> None:
        self._folder = folder
        self._give_up = give_up
        self._processes: Sequence[subprocess.Popen[bytes]] = ()

    def look_after(self, trainer: Trainer) -> None:
        """Take care of the processes that `trainer` will start, and of the signals that it would take over."""
        from lightning.pytorch.strategies.launchers import subprocess_script as launcher

        os.environ[PARENT] = str(os.getpid())
        private: Any = launcher
        private._launch_process_observer = self._begin
        private._hydra_subprocess_cmd = _command_of_rank
        signals: Any = trainer._signal_connector
        signals.register_signal_handlers = _keeping_ours(signals.register_signal_handlers)

    def word_of(self, error: BaseException) -> str | None:
        """Return a sentence for an error of the connection to the others: why one of them ended. None for others."""
        if not self._processes or not isinstance(error, RuntimeError):
            return None
        if not any(sign in str(error).lower() for sign in _LOST):
            return None
        end = time.monotonic() + _NEWS_SECONDS
        while (word := self._first_word()) is None and time.monotonic() < end:
            time.sleep(0.05)
        return word

    def kill(self) -> None:
        """Kill the others."""
        for process in self._processes:
            with suppress(OSError):
                process.kill()

    def _begin(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._processes = processes
        for rank in range(1, len(processes) + 1):
            _word_path(self._folder, rank).unlink(missing_ok=True)
        threading.Thread(target=self._watch, name="ranks", daemon=True).start()

    def _watch(self) -> None:
        while any(process.poll() is None for process in self._processes):
            if word := self._first_word():
                break
            time.sleep(_POLL_SECONDS)
        if word := self._first_word():
            end_by_force(word, 1, self._give_up)

    def _first_word(self) -> str | None:
        for rank, process in enumerate(self._processes, start=1):
            code = process.poll()
            if code:
                return f"process {rank} of 0..{len(self._processes)} {self._how(rank, code)}"
        return None

    def _how(self, rank: int, code: int) -> str:
        path = _word_path(self._folder, rank)
        with suppress(OSError, ValueError):
            return f"failed: {read_text(path, MEBIBYTE)}"
        if code < 0:
            return how_killed(code)
        return f"ended with exit code {code}"


def leave_word(folder: Path, reason: str) -> None:
    """Write for the first process why this one fails."""
    with suppress(OSError):
        write_text(_word_path(folder, int(os.environ.get("LOCAL_RANK", "0"))), reason)


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


def _word_path(folder: Path, rank: int) -> Path:
    return folder / f".process-{rank}.reason"


def _command_of_rank(local_rank: int) -> tuple[list[str], str]:
    """Return the command and the working folder of a rank: Lightning's own does not quote the run folder."""
    config = HydraConfig.get()
    own = [
        override("hydra.run.dir", str(config.runtime.output_dir)),
        f"hydra.job.name=train_ddp_process_{local_rank}",
        "hydra.output_subdir=null",
    ]
    script = Path(config.runtime.cwd) / sys.argv[0]
    return [sys.executable, str(script), *sys.argv[1:], *own], str(config.runtime.cwd)


def _keeping_ours(register: Callable[[], None]) -> Callable[[], None]:
    """Return Lightning's function without its handler of SIGTERM, which waits for the other ranks inside it."""

    def registered() -> None:
        ours = signal.getsignal(signal.SIGTERM)
        register()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)

    return registered
