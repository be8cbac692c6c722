"""How many threads a process uses, and what they do while they wait; settled before torch is loaded."""

from __future__ import annotations

import os

_SPINS = "5000"  # libgomp's own choice is 300,000


def settle_threads() -> None:
    """Set what OpenMP reads when torch and scikit-learn are loaded, unless the user has set it.

    By default its threads spin long while they wait for each other. A thread that the system has put aside, because
    another process wants its core, keeps all others spinning: two jobs on one machine then take many times as long as
    one. Threads that never spin cost a job that is alone on its machine a tenth of its speed, a short spin hardly
    anything (`benchmarks/neighbours.py`). The variable is that of libgomp, which torch for Linux carries.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = _SPINS
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("OMP_NUM_THREADS") == "1":
        # torchrun's default, which nobody chose
        ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        os.environ["OMP_NUM_THREADS"] = str(max(1, cores() // ranks))


def cores() -> int:
    """Return how many cores this process may use, which a cluster or a container may have made fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share(processes: int) -> dict[str, str]:
    """Return the environment of each of so many processes that run side by side; what the user has set stays.

    >>> share(10**6) if "OMP_NUM_THREADS" not in os.environ else {"OMP_NUM_THREADS": "1"}
    {'OMP_NUM_THREADS': '1'}
    """
    if "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, cores() // processes))}


def follow_environment() -> None:
    """Use OMP_NUM_THREADS threads in a process whose libraries were loaded before it was set."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        import torch
        from threadpoolctl import threadpool_limits

        threadpool_limits(int(wanted))
        torch.set_num_threads(int(wanted))
