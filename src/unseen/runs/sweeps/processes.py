"""A fresh process tree for each job of a sweep, forked from a parent that has done the imports.

What a fork shares is read-only by habit: the parent imports libraries, and never starts a thread of torch's, a
process group or a GPU context. Everything that a job leaves behind (environment, open groups, memory) ends with it.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import unseen
from unseen.process_rank import die_with_parent
from unseen.threads import follow_environment

_FORK = multiprocessing.get_context("fork")
# Set by a launcher around us; a job that inherits them would take itself for a rank of another job.
_OF_RANKS = ("LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED")
# The process that one of ours must not outlive; set for those that we do not fork ourselves.
PARENT = "UNSEEN_PARENT"
_PATIENCE_SECONDS = 10.0  # for a job to end in order, before it is killed


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what marks this process as one of several of another job."""
    return {
        name: value
        for name, value in environment.items()
        if name not in (*_OF_RANKS, PARENT) and not name.startswith(("SLURM_", "TORCHELASTIC_"))
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
    gc.disable()
    from unseen.backbones.timm import load_timm
    from unseen.runs.identity import git_state

    # looking for GPUs must not open a context here
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    for name in ("lightning.pytorch", "sklearn.cluster", "torchmetrics"):
        importlib.import_module(name)
    load_timm()
    git_state()  # of the code that is loaded here; a later job may find another commit
    for module in pkgutil.walk_packages(unseen.__path__, "unseen."):
        if not module.name.startswith("unseen.reporting"):
            _import_unless_an_extra_is_missing(module.name)
    gc.enable()
    gc.freeze()  # a job looks for garbage in what is its own, and so copies nothing of what it shares with the others


def _import_unless_an_extra_is_missing(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:  # a job that names such a module is refused in a sentence
        if error.name is None or error.name.partition(".")[0] == "unseen":
            raise


def start(
    command: Callable[[], None], argv: Sequence[str], *, console: Path, environment: dict[str, str]
) -> ForkProcess:
    """Return a process, the first of its session, that runs `command` as if `argv` had been typed.

    Args:
        command: Ends by SystemExit with the job's exit code.
        argv: Becomes sys.argv, so that DDP's own processes are started with the job's line, not the sweep's.
        console: File that gets what the job prints, after what it holds already.
        environment: Added to the job's environment.
    """
    process = _FORK.Process(target=_run, args=(os.getpid(), command, argv, console, environment))
    process.start()
    return process


def _run(
    parent: int, command: Callable[[], None], argv: Sequence[str], console: Path, environment: dict[str, str]
) -> None:
    os.setsid()
    die_with_parent(parent)
    _redirect(os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored: nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _set_environment(environment)
    follow_environment()
    sys.argv = list(argv)
    command()


def stop(processes: Sequence[ForkProcess]) -> None:
    """End jobs and everything that they started: by SIGTERM, then by SIGKILL those that do not end."""
    end = time.monotonic() + _PATIENCE_SECONDS
    for process in processes:
        _signal(process, signal.SIGTERM)
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    for process in processes:
        _signal(process, signal.SIGKILL)
        process.join()


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns, or raise what it raises, in a forked process with a job's environment.

    Looking for GPUs may start the driver, which then works in no process that is forked from this one.

    Args:
        function: Of a module; it prints nothing.
        arguments: They and the result are pickled.
    """
    with ProcessPoolExecutor(1, mp_context=_FORK, initializer=_be_silent) as pool:
        return pool.submit(function, *arguments).result()


def _be_silent() -> None:
    _redirect(os.open(os.devnull, os.O_WRONLY))
    _set_environment({})


def _redirect(output: int) -> None:
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)


def _set_environment(more: dict[str, str]) -> None:
    mine = job_environment(os.environ) | more
    os.environ.clear()
    os.environ.update(mine)


def _signal(process: ForkProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
