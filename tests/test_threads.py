"""Threads are settled before torch is loaded, and never against the user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unseen.threads import cores, settle_threads, share

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
NAMES = (*WAITING, "OMP_NUM_THREADS", "TORCHELASTIC_RUN_ID", "LOCAL_WORLD_SIZE")


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
    monkeypatch.setattr("unseen.threads.cores", lambda: 12)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert settled()["OMP_NUM_THREADS"] == "3"


def test_jobs_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseen.threads.cores", lambda: 12)
    assert [share(count) for count in (1, 4, 5, 99)] == [
        {"OMP_NUM_THREADS": count} for count in ("12", "3", "2", "1")
    ]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert share(4) == {}


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
