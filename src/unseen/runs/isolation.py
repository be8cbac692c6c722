"""A fresh process tree for each job of a sweep, forked from a parent that has done the imports.

What a fork shares is read-only by habit: the parent imports libraries, and never starts a thread of torch's, a
process group or a GPU context. Everything a job leaves behind (environment, open groups, memory) ends with it.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import unseen
from unseen.process_rank import die_with_parent
from unseen.threads import follow_environment

# Left by a launcher around us; a job that inherits them would believe to be one rank of another job.
_SCRUBBED = ("LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED")
# The process that one of ours must not outlive; set for those that we do not fork ourselves.
PARENT = "UNSEEN_PARENT"
_PATIENCE_SECONDS = 10.0  # for a job to end in order, before it is killed


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what says that this process is one of several of another job."""
    others = (*_SCRUBBED, PARENT)
    return {
        name: value
        for name, value in environment.items()
        if name not in others and not name.startswith(("SLURM_", "TORCHELASTIC_"))
    }


def leave_allocation() -> None:
    """Hide a SLURM allocation from Lightning where srun has not started this process as one of its tasks.

    Typed in `salloc -n 4`, or in an sbatch script, a command is one process, which starts its ranks itself.
    """
    tasks = os.environ.get("SLURM_NTASKS")
    if tasks is not None and os.environ.get("SLURM_STEP_NUM_TASKS") != tasks:
        for name in ("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"):
            os.environ.pop(name, None)


def follow_parent() -> None:
    """Die with the process that started this one: a job with its sweep, a rank with its job or its launcher."""
    parent = os.environ.pop(PARENT, None)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        die_with_parent(os.getppid())
    elif parent:
        die_with_parent(int(parent))


def warm_up() -> None:
    """Import what every job needs, so that a forked one starts at once.

    All of our own modules are among it: who edits the code while a sweep runs does not change its later jobs.
    """
    from unseen.backbones.timm import load_timm

    os.environ.setdefault(
        "PYTORCH_NVML_BASED_CUDA_CHECK", "1"
    )  # asking for GPUs must not open a context here
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

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the job and everything it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def stop(children: Sequence[Child]) -> None:
    """End jobs and everything they started: they are asked first, and killed if they do not end."""
    for child in children:
        child.signal(signal.SIGTERM)
    end = time.monotonic() + _PATIENCE_SECONDS
    while any(child.poll() is None for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    for child in children:
        child.signal(signal.SIGKILL)
        while child.poll() is None:
            time.sleep(0.01)


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
        mine = job_environment(os.environ) | environment
        os.environ.clear()
        os.environ.update(mine)
        follow_environment()
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


def ask_child(question: Callable[[], str]) -> str:
    """Return what `question` returns in a forked process with a job's environment, '' if it fails there.

    Asking for GPUs may wake the driver, which then works in no process that is forked from this one.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nothing, descriptor)
            mine = job_environment(os.environ)
            os.environ.clear()
            os.environ.update(mine)
            with os.fdopen(writing, "w", encoding="utf-8", errors="replace") as answer:
                answer.write(question())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as given:
        text = given.read()
    os.waitpid(pid, 0)
    return text


def _redirect(console: Path) -> None:
    descriptor = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
