"""From the composed jobs of `-m` to a sweep."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from unseen.run_state import state_of
from unseen.runs.cli import PROJECT_ROOT, job_folder
from unseen.runs.console import notice
from unseen.runs.ending import say_what_is_left
from unseen.runs.errors import UserError, user_errors
from unseen.runs.identity import config_hash
from unseen.runs.isolation import ask_child
from unseen.runs.own_folder import give_back, is_claimed
from unseen.runs.schema import check_job
from unseen.runs.sweep import Job, Sweep, asks_for_a_way_of_running, find_runs, label_jobs, settle
from unseen.threads import share


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

    Raises:
        UserError: A setting of a job cannot be, or finished runs would be lost; no job was started.
    """
    folder = folder.resolve()
    try:
        sweep = _prepare(composed, folder, entry=entry, command=command)
    except UserError:
        give_back(folder)
        raise
    if composed[0][1].plan:
        sweep.plan()
        give_back(folder)
    else:
        say_what_is_left("what was evaluated is on disk; the same line with resume=true goes on")
        try:
            sweep.run()
        except UserError:
            give_back(folder)
            raise


def _prepare(
    composed: Sequence[tuple[list[str], DictConfig]],
    folder: Path,
    *,
    entry: str,
    command: Callable[[], None],
) -> Sweep:
    if not composed:
        raise UserError("the sweep has no jobs: a list of values is empty")
    settings = [_checked(config) for _, config in composed]
    jobs = []
    for (overrides, config), plain in zip(composed, settings, strict=True):
        typed = [override for override in overrides if not asks_for_a_way_of_running(override)]
        jobs.append(Job(typed, folder, config_hash(config), settings=plain))
    _name(jobs)
    first = composed[0][1]
    if first.resume:
        # a folder that was typed is the sweep; without one it may be any of the earlier sweeps
        claimed = is_claimed(folder)
        roots = [path for path in folder.parent.iterdir() if path.is_dir()] if claimed else [folder]
        settle(jobs, find_runs(roots))
        if claimed:
            folder = _go_on_in(folder, jobs)
    else:
        _refuse_to_replace(jobs)
    if len({job.config_hash for job in jobs}) < len(jobs):
        notice("some jobs of this sweep have the same configuration; each is run as typed")
    return Sweep(
        jobs,
        folder,
        entry,
        command,
        PROJECT_ROOT / "configs",
        check=_check_on_machine,
        slots=partial(_slots, first),
        resume=bool(first.resume),
    )


def _checked(config: DictConfig) -> dict[str, Any]:
    """Return a job's settings; refuse what is cheap to see, before any job has taken hours.

    Raises:
        UserError: The sentence names the setting.
    """
    try:
        with user_errors(ValueError, OmegaConfBaseException):
            return check_job(config)
    except UserError as error:
        raise UserError(f"{error}; no job of the sweep was started") from error


def _check_on_machine(jobs: Sequence[Job]) -> None:
    """Refuse what only the loaded libraries can tell: a device that is not here, a class that cannot be made.

    Raises:
        UserError: The sentence names the setting.
    """
    from unseen.runs.trainer import check_with_libraries

    def complaint() -> str:
        try:
            with user_errors():
                check_with_libraries([job.settings for job in jobs])
        except UserError as error:
            return str(error)
        return ""

    if sentence := ask_child(complaint):
        raise UserError(f"{sentence}; no job of the sweep was started")


def _refuse_to_replace(jobs: Sequence[Job]) -> None:
    kept = [job for job in jobs if state_of(job.folder).status in {"finished", "running"}]
    if kept:
        raise UserError(
            f"{kept[0].folder.parent} holds {len(kept)} of these jobs, finished or running ({kept[0].folder.name}); "
            "add resume=true to keep them and to run the others, or type another hydra.sweep.dir"
        )


def _name(jobs: list[Job]) -> None:
    """Name jobs and folders by what differs between them; what all have in common says nothing."""
    label_jobs(jobs)
    for job in jobs:
        job.folder = job.folder / job_folder(job.label.replace(" ", ","))
    taken: set[Path] = set()
    for job in jobs:
        number = 1
        while job.folder in taken or _is_anothers(job):
            number += 1
            job.folder = job.folder.with_name(
                f"{job_folder(job.label.replace(' ', ','))}_{job.config_hash}"
                + (f"_{number}" if number > 2 else "")
            )
        taken.add(job.folder)


def _is_anothers(job: Job) -> bool:
    """Return whether a run with another configuration is in the job's folder."""
    return bool(job.summary().get("config_hash", job.config_hash) != job.config_hash)


def _go_on_in(folder: Path, jobs: list[Job]) -> Path:
    """Return the newest sweep folder that knows one of the jobs, and put the missing jobs there, too."""
    known = [job.folder.parent for job in jobs if job.state != "missing"]
    if not known:
        return folder
    newest = max(known, key=lambda path: path.stat().st_mtime)
    for job in jobs:
        if job.state == "missing":
            job.folder = newest / job.folder.name
            if _is_anothers(job):
                job.folder = job.folder.with_name(f"{job.folder.name}_{job.config_hash}")
    give_back(folder)
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
    variable = next(
        (name for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES") if name in os.environ),
        "CUDA_VISIBLE_DEVICES",
    )
    count = int(ask_child(lambda: str(_count_gpus())) or 0)
    named = [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
    gpus = (named or [str(number) for number in range(count)])[:count]
    if len(gpus) < 2 * devices:
        return [{}]
    places = [gpus[first : first + devices] for first in range(0, len(gpus) - devices + 1, devices)]
    return [{variable: ",".join(place)} | share(len(places)) for place in places]


def _count_gpus() -> int:
    import torch

    return torch.cuda.device_count()
