"""Jobs of a sweep under Hydra's other launchers, joblib and submitit.

They call our task in a worker that they may use again, whose command line is not ours; a DDP job would start that
command line once more. So the worker starts the job's own command, and waits.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from unseen.process_rank import die_with_parent
from unseen.run_state import read_summary, state_of
from unseen.runs.identity import config_hash
from unseen.runs.project import interpreter_of
from unseen.runs.sweeps.job_results import record_end, write_table
from unseen.runs.sweeps.jobs import Job, label_jobs
from unseen.runs.sweeps.processes import PARENT, job_environment
from unseen.threads import cores, share

_failed: list[str] = []


def is_worker() -> bool:
    """Return whether this process runs a job of a sweep for one of Hydra's other launchers."""
    return str(HydraConfig.get().mode) == "RunMode.MULTIRUN"


def run_job(config: DictConfig, entry: str) -> int:
    """Run the command of a worker's job in a process tree of its own, from its last checkpoint if it has one.

    Args:
        config: Of the job.
        entry: First word of its command, see `entry_of`.

    Returns:
        Its exit code; 0 at once if it is finished already (a job that was queued again).
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    job = Job(list(hydra.overrides.task), folder, config_hash(config), before=read_summary(folder))
    if job.before.get("config_hash") == job.config_hash:
        job.status = state_of(folder).status
        if job.status == "finished":
            return 0
    at_once = int(hydra.launcher.get("n_jobs") or 1)  # joblib's; -1 is one job a core
    environment = job_environment(os.environ) | share(at_once if at_once > 0 else cores())
    environment |= job.environment(Path(hydra.sweep.dir).name) | {PARENT: str(os.getpid())}
    if "joblib" in str(hydra.launcher.get("_target_")):
        die_with_parent(os.getppid())  # and with this worker its job
    with (folder / "console.log").open("ab") as log:
        process = subprocess.Popen(
            [*interpreter_of(entry, Path.cwd()), *job.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    record_end(job, code)
    return code


class SweepEnd(Callback):
    """Prints and writes the table of a sweep that one of Hydra's other launchers ran."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Collect the folders below the sweep's; our own launcher has done so itself."""
        if "isolated" in str(config.hydra.launcher.get("_target_", "")):
            return
        folder = Path(str(config.hydra.sweep.dir))
        folders = [path.parent for path in sorted(folder.glob("*/summary.json"))]
        jobs = [Job(read_summary(path).get("command", [])[1:], path, "") for path in folders]
        label_jobs(jobs)
        if failed := write_table(jobs, folder):
            _failed.append(failed)


def failed_jobs() -> list[str]:
    """Return a sentence for a finished sweep with failed jobs, else nothing."""
    return _failed
