"""A sweep: jobs in fresh processes, a folder each, one table at the end; finished jobs are not run again."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from unseen.run_state import read_summary, state_of
from unseen.runs.console import notice, say, shown_path
from unseen.runs.ending import end_on_signals
from unseen.runs.errors import UserError, user_errors
from unseen.runs.identity import config_hash
from unseen.runs.own_folder import give_back
from unseen.runs.schema import check_job
from unseen.runs.sweeps.job_results import record_end, write_csv, write_table
from unseen.runs.sweeps.jobs import Job, find_earlier, find_runs, name_jobs, print_plan, refuse_to_replace
from unseen.runs.sweeps.processes import in_child, start, stop, warm_up
from unseen.runs.sweeps.progress import StatusLine, job_outcome, time_left
from unseen.runs.sweeps.search import Search
from unseen.runs.unread import check_read
from unseen.threads import share
from unseen.wording import count

_POLL_SECONDS = 0.05


@dataclass
class Sweep:
    """Plans jobs and runs them, several at a time where each can have its own GPUs, or where that is asked for.

    Args:
        folder: Of a new sweep; gets sweep.csv.
        entry: The script that was typed (src/train.py); it becomes argv[0] of every job.
        command: What a job's process runs.
        configs: Folders of YAML files by Hydra's flag (--config-path, --config-dir); the jobs read a copy of them in
            the sweep's folder.
        jobs: The grid, set by `launch`.
        resume: Jobs may have run before, or run in another sweep now; set by `launch`.
        n_jobs: How many run at once; None: one, or one for each group of GPUs.
        search: What the jobs are a part of; None: they are all there is.
    """

    folder: Path
    entry: str
    command: Callable[[], None]
    configs: Mapping[str, Path]
    jobs: list[Job] = field(default_factory=list)
    resume: bool = False
    n_jobs: int | None = None
    search: Search | None = None
    _ended: int = field(default=0, init=False)
    _took: list[float] = field(default_factory=list, init=False)  # seconds of the jobs that this sweep ran
    _status: StatusLine = field(default_factory=StatusLine, init=False)

    def launch(self, composed: Sequence[tuple[list[str], DictConfig]]) -> None:
        """Plan the jobs, find those that ran before, and run the others.

        Args:
            composed: For each job its overrides and its configuration.

        Raises:
            UserError: Settings of a job are wrong or finished runs would be lost, and no job was started; or jobs
                failed.
            KeyboardInterrupt: The user stopped the sweep; its jobs were stopped, too.
        """
        self.folder = self.folder.resolve()
        try:
            if not composed:
                raise UserError("the sweep has no jobs: a list of values is empty")
            for overrides, config in composed:
                with _no_job_started(ValueError, OmegaConfBaseException):
                    settings = check_job(config)
                    check_read(str(config.hydra.job.config_name), config, config, settings)
                self.jobs.append(Job(overrides, self.folder, config_hash(config), settings=settings))
            name_jobs(self.jobs, self.search.fixed if self.search else ())
            first = composed[0][1]
            self.resume = bool(first.resume)
            if self.search and first.plan:
                raise UserError(
                    "plan=true cannot know the jobs of a search: each follows from the results before it"
                )
            if self.search and self.search.trials:  # the same values may come again
                find_runs(self.jobs, [self.folder])
                self.resume = True
            elif self.resume:
                self.folder = find_earlier(self.jobs, self.folder)
            else:
                refuse_to_replace(self.jobs)
            if len({job.config_hash for job in self.jobs}) < len(self.jobs):
                notice("some jobs of this sweep have the same configuration; each is run as typed")
            if first.plan:
                print_plan(self.jobs)
                give_back(self.folder)
            else:
                self.run()
        except UserError:
            give_back(self.folder)
            raise

    def run(self) -> None:
        """Run what is open, then write and print the tables; raise as `launch` does."""
        waiting = [job for job in self.jobs if job.is_open]
        self._ended = len(self.jobs) - len(waiting)
        if self.search:
            self.search.trials += self.jobs
        for job in self.jobs:
            if job.status == "running":
                notice(f"{job.label} is running in another process; it is left to it")
        if not self.search:
            say(
                f"sweep of {count(len(self.jobs), 'job')}, {self._ended} done before · {shown_path(self.folder)}"
            )
        if waiting:
            try:
                self._run(waiting)
            except KeyboardInterrupt:
                left = "what was evaluated is on disk; the same line with resume=true goes on"
                raise KeyboardInterrupt(left) from None
        if self.search:
            write_csv(self.search.trials, self.folder)
            if len(self.search.trials) >= self.search.planned:
                self.search.tell(self.folder)
        elif failed := write_table(self.jobs, self.folder):
            raise UserError(failed)

    def _run(self, waiting: list[Job]) -> None:
        from unseen.runs.trainer import check_with_libraries

        with self._copied_configs() as configs:
            warm_up()
            with _no_job_started():  # what only the loaded libraries know: a device that is not here
                in_child(check_with_libraries, [job.settings for job in waiting])
            free = _slots(waiting[0].settings["trainer"], self.n_jobs)
            places = len(free)
            running: dict[ForkProcess, tuple[Job, dict[str, str], float]] = {}
            end_on_signals()
            try:
                while waiting or running:
                    while waiting and free:
                        job = waiting.pop(0)
                        if (process := self._start(job, free[0], configs)) is not None:
                            running[process] = (job, free.pop(0), time.monotonic())
                    for process in [process for process in running if process.exitcode is not None]:
                        job, slot, began = running.pop(process)
                        free.append(slot)
                        self._took.append(time.monotonic() - began)
                        record_end(job, process.exitcode or 0)
                        self._print_end(job, time_left(self._took, len(waiting) + len(running), places))
                    self._show_status([(job, began) for job, _, began in running.values()])
                    time.sleep(_POLL_SECONDS)
            finally:
                self._status.clear()
                stop(list(running))
                for process, (job, _, _) in running.items():
                    record_end(job, process.exitcode or 0)
                write_csv(self.search.trials if self.search else self.jobs, self.folder)

    def _copied_configs(self) -> tempfile.TemporaryDirectory[str]:
        """Return a copy of the YAML files: a later edit of one must not reach the jobs that still wait.

        Raises:
            UserError: The folder cannot be written, or is full.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # a folder of its own: another sweep may go on in this one
            copied = tempfile.TemporaryDirectory(
                prefix=".configs-", dir=self.folder, ignore_cleanup_errors=True
            )
            for flag, folder in self.configs.items():
                shutil.copytree(folder, Path(copied.name, flag))
        except OSError as error:  # copytree collects the errors of all files
            first = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
            raise UserError(f"cannot write into the sweep's folder {self.folder}: {first}") from error
        return copied

    def _start(self, job: Job, slot: dict[str, str], configs: str) -> ForkProcess | None:
        """Start a job; None if it has ended or runs elsewhere by now, or cannot be started."""
        if self.resume:  # its turn may come hours after the sweep began, and another one may have been faster
            job.status = state_of(job.folder).status
            if not job.is_open:
                self._print_end(job)
                return None
        job.before = read_summary(job.folder)
        log = job.folder / "console.log"
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            log.touch()
        except OSError as error:
            notice(f"{job.label} cannot be started: {error.strerror}: {error.filename}")
            self._print_end(job)
            return None
        self._status.clear()
        say(f"{job.label}: started · {shown_path(log)}")
        flags = [text for flag in self.configs for text in (flag, str(Path(configs, flag)))]
        argv = [self.entry, *flags, *job.arguments()]
        return start(self.command, argv, console=log, environment=slot | job.environment(self.folder.name))

    def _show_status(self, running: Sequence[tuple[Job, float]]) -> None:
        """Show which jobs run, for how long, and what is left."""
        now = time.monotonic()
        jobs = [f"{job.label} for {now - began:.0f} s" for job, began in running]
        left = time_left(self._took, len(self.jobs) - self._ended, max(1, len(running)))
        self._status.show(" · ".join(filter(None, (f"{self._ended}/{len(self.jobs)} done", left, *jobs))))

    def _print_end(self, job: Job, left: str = "") -> None:
        self._ended += 1
        self._status.clear()
        outcome = f"{job.label}: {job_outcome(state_of(job.folder))}"
        place = f"{self._ended}/{len(self.jobs)}"
        if self.search:
            before, left = len(self.search.trials) - len(self.jobs), ""
            place = f"{before + self._ended}/{self.search.planned}"
        say(f"[{place}] {outcome}{left and ' · '}{left}")
        write_csv(self.search.trials if self.search else self.jobs, self.folder)


@contextmanager
def _no_job_started(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of the given kinds, or of `user_errors`' own, into a UserError that adds this."""
    try:
        with user_errors(*kinds):
            yield
    except UserError as error:
        raise UserError(f"{error}; no job of the sweep was started") from error


def _slots(trainer: dict[str, Any], n_jobs: int | None = None) -> list[dict[str, str]]:
    """Return the environments of the places at which jobs run.

    Args:
        trainer: Settings of one of the jobs.
        n_jobs: How many run at once; groups of GPUs are taken by turns. None: one for each group, else a single one.
    """
    groups = _gpu_groups(trainer)
    number = n_jobs or max(1, len(groups))
    if number == 1:
        return groups[:1] if len(groups) > 1 else [{}]
    return [(groups[place % len(groups)] if groups else {}) | share(number) for place in range(number)]


def _gpu_groups(trainer: dict[str, Any]) -> list[dict[str, str]]:
    """Return the variable that shows a job each group of `devices` GPUs; nothing where there are not two groups."""
    devices = trainer["devices"]
    if (
        trainer["accelerator"] not in {"auto", "gpu", "cuda"}
        or not isinstance(devices, int)
        or devices < 1  # all of them
        or trainer["num_nodes"] != 1
    ):
        return []
    variable = "HIP_VISIBLE_DEVICES"
    if "CUDA_VISIBLE_DEVICES" in os.environ or variable not in os.environ:
        variable = "CUDA_VISIBLE_DEVICES"
    count: int = in_child(_count_gpus)
    named = [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
    gpus = (named or [str(number) for number in range(count)])[:count]
    if len(gpus) < 2 * devices:
        return []
    places = [gpus[first : first + devices] for first in range(0, len(gpus) - devices + 1, devices)]
    return [{variable: ",".join(place)} for place in places]


def _count_gpus() -> int:
    import torch

    return torch.cuda.device_count()
