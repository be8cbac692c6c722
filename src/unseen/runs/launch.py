"""From the composed jobs of `-m` to a sweep."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from unseen.runs.cli import PROJECT_ROOT, job_folder
from unseen.runs.console import notice
from unseen.runs.errors import user_errors
from unseen.runs.identity import config_hash
from unseen.runs.settings import check_job
from unseen.runs.sweep import Job, Sweep, find_runs, label_jobs, settle

# These ask for a way of running, not for another result; a job need not hear of them.
_SWEEP_SETTINGS = ("resume=", "plan=", "hydra.", "hydra/")


def launch_sweep(
    composed: Sequence[tuple[list[str], DictConfig]],
    folder: Path,
    *,
    entry: str,
    command: Callable[[], None],
) -> None:
    """Plan the jobs, settle which of them ran before, and run the rest.

    Args:
        composed: For each job its overrides and its configuration.
        folder: Of the new sweep.
        entry: The script that was typed.
        command: What the process of a job runs.
    """
    jobs = []
    for overrides, config in composed:
        with user_errors(ValueError, OmegaConfBaseException):
            check_job(config)
        typed = [override for override in overrides if not override.startswith(_SWEEP_SETTINGS)]
        jobs.append(Job(typed, folder.resolve(), config_hash(config)))
    _name(jobs)
    first = composed[0][1]
    if first.resume:
        siblings = [path for path in folder.resolve().parent.iterdir() if path.is_dir()]
        settle(jobs, find_runs(siblings))
        folder = _go_on_in(folder, jobs)
    if len({job.config_hash for job in jobs}) < len(jobs):
        notice("some jobs of this sweep have the same configuration; each is run as typed")
    sweep = Sweep(jobs, folder.resolve(), entry, command, PROJECT_ROOT / "configs", slots=_slots(first))
    if first.plan:
        sweep.plan()
    else:
        sweep.run()


def _name(jobs: list[Job]) -> None:
    """Name jobs and folders by what differs between them; what all have in common says nothing."""
    label_jobs(jobs)
    for job in jobs:
        job.folder = job.folder / job_folder(job.label.replace(" ", ","))
    taken: set[Path] = set()
    for job in jobs:
        if job.folder in taken or job.summary().get("config_hash", job.config_hash) != job.config_hash:
            job.folder = job.folder.with_name(f"{job.folder.name}_{job.config_hash}")
        taken.add(job.folder)


def _go_on_in(folder: Path, jobs: list[Job]) -> Path:
    """Return the newest sweep folder that knows one of the jobs, and put the missing jobs there, too."""
    known = [job.folder.parent for job in jobs if job.state != "missing"]
    if not known:
        return folder
    newest = max(known, key=lambda path: path.stat().st_mtime)
    for job in jobs:
        if job.state == "missing":
            job.folder = newest / job.folder.name
            if job.summary().get("config_hash", job.config_hash) != job.config_hash:
                job.folder = job.folder.with_name(f"{job.folder.name}_{job.config_hash}")
    if folder.resolve() != newest and {path.name for path in folder.iterdir()} <= {"multirun.yaml"}:
        (folder / "multirun.yaml").unlink(missing_ok=True)
        folder.rmdir()
    return newest


def _slots(config: DictConfig) -> list[dict[str, str]]:
    """Return the environments of the places at which jobs run: one for each `devices` GPUs, or a single one."""
    accelerator, devices = config.trainer.accelerator, config.trainer.devices
    if (
        accelerator not in {"auto", "gpu", "cuda"}
        or not isinstance(devices, int)
        or config.trainer.num_nodes != 1
    ):
        return [{}]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [name for name in visible.split(",") if name] if visible is not None else _all_gpus()
    if len(gpus) < 2 * devices:
        return [{}]
    places = [gpus[first : first + devices] for first in range(0, len(gpus) - devices + 1, devices)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(place)} for place in places]


def _all_gpus() -> list[str]:
    """Return the numbers of the machine's GPUs, counted without waking the driver in this process."""
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]
