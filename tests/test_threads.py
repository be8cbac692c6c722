"""Threads are settled before torch is loaded, and never against the user."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from unseen.threads import cores, settle_threads, share

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
NAMES = (
    *WAITING,
    "OMP_NUM_THREADS",
    "TORCHELASTIC_RUN_ID",
    "LOCAL_WORLD_SIZE",
    "SLURM_CPUS_PER_TASK",
    "SLURM_CPUS_ON_NODE",
)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what a test sets is taken back
        monkeypatch.delenv(name)


def settled() -> dict[str, str]:
    settle_threads()
    return {name: os.environ[name] for name in NAMES if name in os.environ}


def test_threads_spin_shortly_while_they_wait() -> None:
    assert settled() == {"GOMP_SPINCOUNT": "5000"}


@pytest.mark.parametrize("name", WAITING)
def test_what_the_user_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "9")
    assert settled() == {name: "9"}


def test_one_thread_a_rank_is_torchruns_default_and_nobodys_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert settled()["OMP_NUM_THREADS"] == "1"
    monkeypatch.setattr("unseen.threads.cores", lambda processes=1: max(1, 12 // processes))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert settled()["OMP_NUM_THREADS"] == "3"


def test_jobs_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseen.threads.cores", lambda processes=1: max(1, 12 // processes))
    assert [share(count) for count in (1, 4, 5, 99)] == [
        {"OMP_NUM_THREADS": threads, "UNSEEN_JOBS_AT_ONCE": jobs}
        for threads, jobs in (("12", "1"), ("3", "4"), ("2", "5"), ("1", "99"))
    ]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert share(4) == {"UNSEEN_JOBS_AT_ONCE": "4"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_cores_are_those_that_the_process_may_use() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from unseen.threads import cores; print(cores())"
    )
    source = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | source, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
    assert cores() >= 1


@pytest.fixture
def limited(tmp_path: Path) -> Callable[..., int]:
    """Writes a machine's control groups and returns the cores in them; this process may use 64."""

    def write(groups: str, files: dict[str, str], processes: int = 1, **environment: str) -> int:
        (tmp_path / "cgroup").write_text(groups)
        for path, text in files.items():
            (tmp_path / "groups" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "groups" / path).write_text(text)
        return cores(
            processes,
            affinity=64,
            membership=tmp_path / "cgroup",
            groups=tmp_path / "groups",
            environment=environment,
        )

    return write


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        ({"job/cpu.max": "max 100000\n"}, 64),
        ({"job/cpu.max": "400000 100000\n"}, 4),
        ({"job/cpu.max": "250000 100000\n"}, 2),  # two and a half
        ({"job/cpu.max": "50000 100000\n"}, 1),
        ({"job/cpu.max": "800000 100000\n", "cpu.max": "600000 100000\n"}, 6),  # the narrowest around counts
        ({"job/cpu.max": "nonsense"}, 64),
    ],
)
def test_a_quota_of_version_2(limited: Callable[..., int], files: dict[str, str], expected: int) -> None:
    assert limited("0::/job\n", files) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 64), ("300000", 3)])
def test_a_quota_of_version_1(limited: Callable[..., int], quota: str, expected: int) -> None:
    files = {"cpu/job/cpu.cfs_quota_us": f"{quota}\n", "cpu/job/cpu.cfs_period_us": "100000\n"}
    assert limited("5:memory:/else\n4:cpu,cpuacct:/job\n3:cpuset:/\n", files) == expected


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert cores(2, affinity=6, membership=tmp_path / "nowhere", environment={}) == 3


def test_what_slurm_allocated(limited: Callable[..., int]) -> None:
    assert limited("", {}, SLURM_CPUS_PER_TASK="8") == 8
    # typed in an allocation of 4 tasks x 2 cores: the ranks that this process starts share all of it
    allocation = {"SLURM_CPUS_PER_TASK": "2", "SLURM_CPUS_ON_NODE": "8"}
    assert limited("", {}, processes=4, **allocation) == 2
    # a rank that srun started has its own two
    assert limited("", {}, processes=4, **allocation, SLURM_PROCID="1") == 2


def test_processes_share_the_cores(limited: Callable[..., int]) -> None:
    quota = {"job/cpu.max": "800000 100000\n"}
    assert [limited("0::/job\n", quota, processes) for processes in (1, 2, 3, 9)] == [8, 4, 2, 1]
    assert limited("0::/job\n", quota, 2, **share(2)) == 2  # two ranks in each of two jobs
