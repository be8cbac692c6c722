"""Jobs know nothing of what is around the sweep; a question to a child leaves this process as it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unseen.runs.errors import UserError
from unseen.runs.sweeps.processes import in_child, job_environment, leave_allocation, start, stop, warm_up


def test_a_jobs_environment_is_not_that_of_a_rank_or_of_an_allocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    around = {
        "SLURM_NTASKS": "4",
        "SLURM_JOB_ID": "7",
        "LOCAL_RANK": "1",
        "TORCHELASTIC_RUN_ID": "x",
        "HOME": "/h",
    }
    assert job_environment(around) == {"HOME": "/h"}
    for tasks_of_step, seen in ((None, False), ("1", False), ("4", True)):
        monkeypatch.setenv("SLURM_NTASKS", "4")
        monkeypatch.setenv("SLURM_PROCID", "3")
        if tasks_of_step:  # srun started this process as one of so many
            monkeypatch.setenv("SLURM_STEP_NUM_TASKS", tasks_of_step)
        leave_allocation()
        assert ("SLURM_NTASKS" in os.environ, "SLURM_PROCID" in os.environ) == (seen, seen)


def leave_a_mark(text: str) -> str:
    os.environ["UNSEEN_MARK"] = text
    os.write(1, b"not to be seen")
    return text


def refuse(text: str) -> None:
    raise UserError(text)


def test_a_child_answers_or_raises(capfd: pytest.CaptureFixture[str]) -> None:
    assert in_child(leave_a_mark, "x") == "x"
    assert "UNSEEN_MARK" not in os.environ
    with pytest.raises(UserError, match="no such device"):
        in_child(refuse, "no such device")
    assert capfd.readouterr() == ("", "")


def warm_up_without(package: str, ours: str) -> tuple[bool, bool]:
    sys.modules[package] = None  # type: ignore[assignment]  # Python's way to say that there is none
    sys.modules.pop(ours, None)
    warm_up()
    return ours in sys.modules, "unseen.training.module" in sys.modules


def test_a_sweep_needs_no_extra_that_its_jobs_do_not_name() -> None:
    assert in_child(warm_up_without, "pytorch_optimizer", "unseen.training.sharpness") == (False, True)


def test_a_job_is_a_session_of_its_own_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    def command() -> None:
        seen = sys.argv, os.getsid(0) == os.getpid(), os.environ["MARK"], os.environ.get("RANK")
        os.write(1, repr(seen).encode())
        sys.exit(3)

    console = tmp_path / "console.log"
    console.write_text("before\n")
    job = start(command, ["train.py", "seed=0"], console=console, environment={"MARK": "x"})
    job.join()
    assert job.exitcode == 3
    assert console.read_text() == "before\n(['train.py', 'seed=0'], True, 'x', None)"


def test_a_stopped_job_is_gone_with_what_it_started(tmp_path: Path) -> None:
    def command() -> None:
        subprocess.run(["sh", "-c", "echo $$; exec sleep 60"], check=False)

    console = tmp_path / "console.log"
    job = start(command, ["train.py"], console=console, environment={})
    while not console.exists() or not console.read_text().endswith("\n"):
        time.sleep(0.01)
    stop([job])
    assert job.exitcode == -signal.SIGTERM
    stat = Path("/proc") / console.read_text().strip() / "stat"
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
