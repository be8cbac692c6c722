"""A fresh process tree for each job of a sweep, forked from a parent that has done the imports.

What a fork shares is read-only by habit: the parent imports libraries, and never starts a thread of torch's, a
process group or a GPU context. Everything a job leaves behind (environment, open groups, memory) ends with it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import unseen

_PR_SET_PDEATHSIG = 1
# Left by a launcher around us; a job that inherits them would believe to be one rank of another job.
SCRUBBED = ("LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED")


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however that happens (Linux; elsewhere nothing)."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def warm_up() -> None:
    """Import what every job needs, so that a forked one starts at once.

    All of our own modules are among it: who edits the code while a sweep runs does not change its later jobs.
    """
    from unseen.backbones.timm import load_timm

    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # counting GPUs must not open a context here
    for name in ("lightning.pytorch", "sklearn.cluster", "torchmetrics"):
        importlib.import_module(name)
    load_timm()
    for module in pkgutil.walk_packages(unseen.__path__, "unseen."):
        if not module.name.startswith(("unseen.reporting", "unseen.runs.report")):
            importlib.import_module(module.name)


@dataclass(eq=False)
class Child:
    """A running job.

    Attributes:
        pid: Its process, which leads its own session.
        code: How it ended: the exit code, negative for a signal; None while it runs.
    """

    pid: int
    code: int | None = None

    def poll(self) -> int | None:
        """Return how the job ended, None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = None if pid == 0 else os.waitstatus_to_exitcode(status)
        return self.code

    def kill(self) -> None:
        """End the job and everything it started."""
        for how, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 0.0)):
            try:
                os.killpg(self.pid, how)
            except ProcessLookupError:
                return
            end = time.monotonic() + patience
            while time.monotonic() < end:
                if self.poll() is not None:
                    break
                time.sleep(0.05)


def start(
    command: Callable[[], None], argv: Sequence[str], *, console: Path, environment: dict[str, str]
) -> Child:
    """Fork a process with its own session that runs `command` as if `argv` had been typed.

    Args:
        command: Ends by SystemExit with the job's exit code.
        argv: Becomes sys.argv, so that DDP's own children are started with the job's line, not the sweep's.
        console: File that receives what the job prints, after what is there already.
        environment: Added to the job's environment.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return Child(pid)
    code = 1
    try:
        os.setsid()
        die_with_parent(parent)
        _redirect(console)
        for name in SCRUBBED:
            os.environ.pop(name, None)
        os.environ.update(environment)
        sys.argv = list(argv)
        command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)  # nothing of the parent's (exit handlers, buffers) may run twice


def _redirect(console: Path) -> None:
    descriptor = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            signal_number, signal.default_int_handler if signal_number == signal.SIGINT else signal.SIG_DFL
        )
