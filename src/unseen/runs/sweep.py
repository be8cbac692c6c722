"""A sweep: jobs in fresh processes, a folder each, one table at the end; finished jobs are not run again."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from unseen.atomic_files import clear_leftovers, csv_text, write_json, write_text
from unseen.run_folder import SCHEMA
from unseen.run_state import State, lock_folder, read_summary, state_of
from unseen.runs.console import (
    StatusLine,
    configuration_of,
    console,
    job_outcome,
    notice,
    shown_path,
    sweep_tables,
    time_left,
)
from unseen.runs.ending import end_on_signals, how_killed
from unseen.runs.errors import UserError, user_errors
from unseen.runs.identity import config_hash
from unseen.runs.own_folder import CONTINUE, JOB, give_back, is_claimed
from unseen.runs.processes import in_child, start, stop, warm_up
from unseen.runs.schema import check_job
from unseen.runs.typed_line import key_of, override
from unseen.settings import effect_of
from unseen.threads import share
from unseen.wording import listing

_POLL_SECONDS = 0.05
_LONGEST_FOLDER_NAME = 120
_COLUMNS = (
    "job", "configuration", "status", "reason", "model", "data", "size", "unseen", "seed", "seen_accuracy", "g",
    "best_layer", "best_layer_name", "best_depth", "num_layers", "steps", "seconds", "config_hash", "split_hash",
    "folder",
)  # fmt: skip


@dataclass
class Job:
    """One point of the grid.

    Attributes:
        overrides: What was typed for it; those that say how jobs are started are dropped.
        folder: Where it runs, or has run before.
        config_hash: Of its configuration, wherever its folder is.
        label: The overrides in which it differs from the other jobs.
        status: Of the run in its folder, when the sweep began or when its turn came.
        settings: Its configuration, resolved; empty for another launcher's job.
        before: summary.json as it was before the job was started.
    """

    overrides: Sequence[str]
    folder: Path
    config_hash: str
    label: str = ""
    status: State = "missing"
    settings: dict[str, Any] = field(default_factory=dict, repr=False)
    before: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # among them the sweep's folder, which must not win over the job's
        self.overrides = [typed for typed in self.overrides if effect_of(key_of(typed)) != "command"]

    @property
    def is_open(self) -> bool:
        """Whether it is to be run: it is neither finished nor running in another process."""
        return self.status not in {"finished", "running"}

    @property
    def continues(self) -> bool:
        """Whether it goes on from the last checkpoint in its folder."""
        return self.status in {"failed", "died"} and (self.folder / "checkpoints" / "last.ckpt").is_file()

    def arguments(self) -> list[str]:
        """Return what is typed to run this job alone, in its folder."""
        return [*self.overrides, override("hydra.run.dir", str(self.folder))]

    def environment(self, sweep: str) -> dict[str, str]:
        """Return what marks the job's process as one of a sweep of this name."""
        return {JOB: "1", "UNSEEN_SWEEP": sweep} | ({CONTINUE: "1"} if self.continues else {})


# ------------------------------------------------------------------ which jobs, and where
def label_jobs(jobs: Sequence[Job], fixed: Collection[str] = ()) -> None:
    """Label jobs by what differs between them, and is not in `fixed`."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    common |= set(fixed)
    for job in jobs:
        job.label = " ".join(typed for typed in job.overrides if typed not in common) or "job"


def job_folder(overrides: str) -> str:
    """Return a folder name for a job of a sweep, made of its overrides.

    >>> job_folder("model=vit,seed=0")
    'model-vit_seed-0'
    """
    name = re.sub(r"[^\w.+-]+", "-", overrides.replace(",", "_").replace("=", "-")).strip("-") or "job"
    if len(name) <= _LONGEST_FOLDER_NAME:
        return name
    return f"{name[:_LONGEST_FOLDER_NAME]}_{hashlib.sha256(overrides.encode()).hexdigest()[:8]}"


def _name(jobs: list[Job], fixed: Collection[str] = ()) -> None:
    """Label the jobs, and give each a folder of its own below the sweep's."""
    label_jobs(jobs, fixed)
    taken: set[Path] = set()
    for job in jobs:
        sweep, name = job.folder, job_folder(job.label.replace(" ", ","))
        by_hash = f"{name}_{job.config_hash}"
        for unique in (name, by_hash, *(f"{by_hash}_{number}" for number in range(2, len(jobs) + 1))):
            job.folder = sweep / unique
            if job.folder not in taken and not _has_another_run(job):
                break
        taken.add(job.folder)


def _has_another_run(job: Job) -> bool:
    """Return whether a run with another configuration is in the job's folder."""
    return bool(read_summary(job.folder).get("config_hash", job.config_hash) != job.config_hash)


def find_runs(jobs: Sequence[Job], roots: Iterable[Path]) -> None:
    """Point each job to the folder below the roots in which its configuration was run before, and set its status.

    A finished or running one is taken, else the newest. Whatever else lies there, broken or of another program, is
    passed over.
    """
    known: dict[str, list[tuple[float, Path]]] = {}
    for root in roots:
        for path in root.glob("*/summary.json"):
            digest = read_summary(path.parent).get("config_hash")
            if isinstance(digest, str):
                with suppress(OSError):
                    known.setdefault(digest, []).append((path.stat().st_mtime, path.parent))
    for job in jobs:
        for _, folder in sorted(known.get(job.config_hash, [])):
            job.folder, job.status = folder, state_of(folder).status
            if not job.is_open:
                break


def _find_earlier(jobs: Sequence[Job], folder: Path) -> Path:
    """Find the jobs that ran before; return the sweep's folder, to which the missing jobs belong.

    A folder that was typed is the sweep. Without one it may be any earlier one: the newest that has one of the jobs.
    """
    if not is_claimed(folder):
        find_runs(jobs, [folder])
        return folder
    find_runs(jobs, [path for path in folder.parent.iterdir() if path.is_dir()])
    known = [job.folder.parent for job in jobs if job.status != "missing"]
    if not known:
        return folder
    newest = max(known, key=lambda path: path.stat().st_mtime)
    for job in jobs:
        if job.status == "missing":
            job.folder = newest / job.folder.name
            if _has_another_run(job):
                job.folder = job.folder.with_name(f"{job.folder.name}_{job.config_hash}")
    give_back(folder)
    return newest


def _refuse_to_replace(jobs: Sequence[Job]) -> None:
    kept = [job for job in jobs if state_of(job.folder).status in {"finished", "running"}]
    if kept:
        raise UserError(
            f"{kept[0].folder.parent} holds {len(kept)} of these jobs, finished or running ({kept[0].folder.name}); "
            "add resume=true to keep them and to run the others, or type another hydra.sweep.dir"
        )


def _print_plan(jobs: Sequence[Job]) -> None:
    what = {"finished": "is finished", "running": "is running in another process", "missing": "runs"}
    for job in jobs:
        does = "continues from its last checkpoint" if job.continues else what.get(job.status, "runs again")
        _say(f"{does}: {job.label} · {shown_path(job.folder)}")
    _say(f"{sum(job.is_open for job in jobs)} of {len(jobs)} jobs would run")


@dataclass
class Search:
    """A sweep whose jobs follow from the results of earlier ones, in batches.

    Attributes:
        metric: Key of summary.json that is optimised.
        maximize: Whether the largest value is best.
        planned: Number of jobs.
        fixed: Overrides that all jobs have.
        trials: The jobs so far.
    """

    metric: str
    maximize: bool
    planned: int
    fixed: Collection[str]
    trials: list[Job] = field(default_factory=list)

    def value(self, job: Job) -> float | None:
        """Return what a job has reached; None where it failed."""
        state = state_of(job.folder)
        found = state.summary.get(self.metric) if state.status == "finished" else None
        return float(found) if isinstance(found, int | float) else None

    def tell(self, folder: Path) -> None:
        """Print the table of the jobs and the best one."""
        if failed := write_table(self.trials, folder):
            notice(failed.partition(";")[0])
        values = [(value, job) for job in self.trials if (value := self.value(job)) is not None]
        if values:
            value, job = (max if self.maximize else min)(values, key=lambda pair: pair[0])
            _say(
                f"best of {len(self.trials)}: {self.metric} {value:.3f} with {job.label} · {shown_path(job.folder)}"
            )


# ------------------------------------------------------------------ our launcher
@dataclass
class Sweep:
    """Plans jobs and runs them, several at a time where each can have its own GPUs.

    Args:
        folder: Of a new sweep; gets sweep.csv.
        entry: The script that was typed (src/train.py); it becomes argv[0] of every job.
        command: What a job's process runs.
        configs: Folders of YAML files by Hydra's flag (--config-path, --config-dir); the jobs read a copy of them in
            the sweep's folder.
        jobs: The grid, set by `launch`.
        resume: Jobs may have run before, or run in another sweep now; set by `launch`.
        search: What the jobs are a part of; None: they are all there is.
    """

    folder: Path
    entry: str
    command: Callable[[], None]
    configs: Mapping[str, Path]
    jobs: list[Job] = field(default_factory=list)
    resume: bool = False
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
                self.jobs.append(Job(overrides, self.folder, config_hash(config), settings=settings))
            _name(self.jobs, self.search.fixed if self.search else ())
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
                self.folder = _find_earlier(self.jobs, self.folder)
            else:
                _refuse_to_replace(self.jobs)
            if len({job.config_hash for job in self.jobs}) < len(self.jobs):
                notice("some jobs of this sweep have the same configuration; each is run as typed")
            if first.plan:
                _print_plan(self.jobs)
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
            _say(
                f"sweep of {len(self.jobs)} jobs, {self._ended} of them done before · {shown_path(self.folder)}"
            )
        if waiting:
            try:
                self._run(waiting)
            except KeyboardInterrupt:
                left = "what was evaluated is on disk; the same line with resume=true goes on"
                raise KeyboardInterrupt(left) from None
        if self.search:
            _write_csv(self.search.trials, self.folder)
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
            free = _slots(waiting[0].settings["trainer"])
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
                _write_csv(self.search.trials if self.search else self.jobs, self.folder)

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
        _say(f"{job.label}: started · {shown_path(log)}")
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
        _say(f"[{place}] {outcome}{left and ' · '}{left}")
        _write_csv(self.search.trials if self.search else self.jobs, self.folder)


@contextmanager
def _no_job_started(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of the given kinds, or of `user_errors`' own, into a UserError that adds this."""
    try:
        with user_errors(*kinds):
            yield
    except UserError as error:
        raise UserError(f"{error}; no job of the sweep was started") from error


def _slots(trainer: dict[str, Any]) -> list[dict[str, str]]:
    """Return the environments of the places at which jobs run: one for each `devices` GPUs, or a single one."""
    devices = trainer["devices"]
    if (
        trainer["accelerator"] not in {"auto", "gpu", "cuda"}
        or not isinstance(devices, int)
        or devices < 1  # all of them
        or trainer["num_nodes"] != 1
    ):
        return [{}]
    variable = "HIP_VISIBLE_DEVICES"
    if "CUDA_VISIBLE_DEVICES" in os.environ or variable not in os.environ:
        variable = "CUDA_VISIBLE_DEVICES"
    count: int = in_child(_count_gpus)
    named = [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
    gpus = (named or [str(number) for number in range(count)])[:count]
    if len(gpus) < 2 * devices:
        return [{}]
    places = [gpus[first : first + devices] for first in range(0, len(gpus) - devices + 1, devices)]
    return [{variable: ",".join(place)} | share(len(places)) for place in places]


def _count_gpus() -> int:
    import torch

    return torch.cuda.device_count()


# ------------------------------------------------------------------ what every launcher's jobs leave
def record_end(job: Job, code: int) -> None:
    """Write why a job ended that could not do so itself: killed, or gone before it began.

    Nothing is written into a folder that another process holds. A disk that cannot be written is no error: how the
    job stands is then seen from its folder (`run_state`).
    """
    try:
        lock = lock_folder(job.folder)
    except (ValueError, OSError):
        return
    try:
        clear_leftovers(job.folder)
        summary = read_summary(job.folder)
        if summary.get("status") == "finished":  # by this job, or by another process that was faster
            return
        if summary.get("status") == "failed" and summary.get("reason") and summary != job.before:
            return  # the job's own reason
        log = job.folder / "console.log"
        reason = how_killed(code) if code < 0 else f"ended with exit code {code}: {_last_line(log)}"
        ended = {"status": "failed", "reason": reason, "config_hash": job.config_hash}
        write_json(job.folder / "summary.json", {"schema": SCHEMA} | summary | ended)
    except OSError as error:
        notice(f"why {job.label} ended cannot be written: {error.strerror}: {error.filename}")
    finally:
        lock.release()


def write_table(jobs: Sequence[Job], folder: Path) -> str:
    """Write sweep.csv, print the jobs and the means over seeds; return a sentence if jobs failed, else ''."""
    rows = _write_csv(jobs, folder)
    out = console()
    sweep_tables(out, rows)
    out.print(f"table in {shown_path(folder / 'sweep.csv')}", soft_wrap=True)
    offline = sorted({job.folder.parent for job in jobs if any(job.folder.glob("wandb/offline-run-*"))})
    if offline:
        runs = " ".join(f"{shlex.quote(shown_path(path))}/*/wandb/offline-run-*" for path in offline)
        out.print(f"W&B's offline runs are uploaded with: wandb sync {runs}", soft_wrap=True)
    elsewhere = sum(row["status"] == "running" for row in rows)
    if elsewhere:
        notice(f"{elsewhere} of {len(rows)} jobs running in another process, left to it")
    failed = sum(row["status"] not in {"finished", "running"} for row in rows)
    again = "the same line with resume=true runs only those again"
    return f"{failed} of {len(rows)} jobs failed; {again}" if failed else ""


def _write_csv(jobs: Sequence[Job], folder: Path) -> list[dict[str, Any]]:
    rows = []
    for job in jobs:
        state = state_of(job.folder)
        rows.append(
            {name: state.summary.get(name) for name in _COLUMNS}
            | {
                "job": job.label,
                "configuration": configuration_of(job.label),
                "unseen": listing(unseen)
                if isinstance(unseen := state.summary.get("unseen"), list)
                else None,
                "status": state.status,
                "reason": state.reason,
                "config_hash": state.summary.get("config_hash", job.config_hash),
                "folder": os.path.relpath(job.folder, folder),
            }
        )
    try:
        text = csv_text(_COLUMNS, ([row[name] for name in _COLUMNS] for row in rows))
        write_text(folder / "sweep.csv", text)
    except OSError as error:  # the jobs go on; their folders have everything
        notice(f"the table cannot be written: {error.strerror}: {error.filename}")
    return rows


def _say(text: str) -> None:
    console().print(text, soft_wrap=True)


def _last_line(path: Path) -> str:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return "no output"
    return next((line for line in reversed(lines) if line), "no output")
