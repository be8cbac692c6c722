"""How many cores and threads a process uses, and how threads wait; set before torch is loaded."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_JOBS = "UNSEEN_JOBS_AT_ONCE"  # set for the jobs of a sweep that run side by side
_SPINS = "5000"  # libgomp's own choice is 300,000


def settle_threads() -> None:
    """Set what OpenMP reads when torch and scikit-learn are loaded, unless the user has set it.

    By default its threads spin long while they wait for each other. A thread that the system has put aside, because
    another process wants its core, keeps all others spinning: two jobs on one machine then take many times as long as
    one. Threads that never spin cost a job that is alone on its machine a tenth of its speed, a short spin hardly
    anything (`benchmarks/run.py busy_machine`). The variable is that of libgomp, which torch for Linux carries.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = _SPINS
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("OMP_NUM_THREADS") == "1":
        # torchrun's default, which nobody chose
        ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        os.environ["OMP_NUM_THREADS"] = str(cores(ranks))


def cores(
    processes: int = 1,
    *,
    affinity: int | None = None,
    membership: Path = Path("/proc/self/cgroup"),
    groups: Path = Path("/sys/fs/cgroup"),
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Return how many cores each of so many processes of this machine may use, at least 1.

    The least counts of the CPU affinity, the CPU quotas of the control groups (versions 1 and 2), and what SLURM has
    allocated. A task of srun has cores of its own, so they are not divided. Jobs of a sweep that run side by side share
    them.

    Args:
        processes: How many processes of a run share this machine.
        affinity: How many cores the process is bound to; None: the system is asked.
        membership: Lists the control groups of this process.
        groups: Where control groups are mounted.
        environment: SLURM's variables, and those of `share`.
    """
    is_task = "SLURM_PROCID" in environment
    allocated = "" if is_task else environment.get("SLURM_CPUS_ON_NODE", "")
    allocated = allocated or environment.get("SLURM_CPUS_PER_TASK", "")
    limits = [float(allocated)] if allocated.isdecimal() else []
    limits += [_quota(folder) for folder in control_groups("cpu", membership, groups)]
    sharing = (1 if is_task else processes) * int(environment.get(_JOBS, 1))
    return max(1, int(min([affinity or _affinity(), *limits]) / sharing))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def control_groups(controller: str, membership: Path, groups: Path) -> Iterator[Path]:
    """Yield the folders of the control groups that limit this process, from its own to the outermost.

    Args:
        controller: `cpu` or `memory`.
        membership: As /proc/self/cgroup.
        groups: Where control groups are mounted.
    """
    try:
        lines = membership.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = groups / controller if controllers else groups  # version 2 has one tree for all controllers
        inner = top / path.strip("/")
        yield inner
        yield from (folder for folder in inner.parents if folder.is_relative_to(top))


def _quota(group: Path) -> float:
    """Return how many cores' worth of time a control group may use; infinite where it has no limit."""
    with suppress(OSError, ValueError):  # not this version, or "max"
        quota, period = map(int, (group / "cpu.max").read_text().split())
        return quota / period
    with suppress(OSError, ValueError):
        quota, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 else math.inf  # -1: no limit
    return math.inf


def share(processes: int) -> dict[str, str]:
    """Return the environment of each of so many jobs that run side by side; what the user has set stays.

    >>> share(10**6)["UNSEEN_JOBS_AT_ONCE"]
    '1000000'
    """
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(cores(processes))}
    return threads | {_JOBS: str(processes)}


def follow_environment() -> None:
    """Use OMP_NUM_THREADS threads in a process whose libraries were loaded before it was set."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        import torch
        from threadpoolctl import threadpool_limits

        threadpool_limits(int(wanted))
        torch.set_num_threads(int(wanted))
