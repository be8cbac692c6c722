"""A sweep: jobs in fresh processes, one folder each, one table at the end; what is finished is never run twice."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unseen.atomic_files import clear_leftovers, csv_text, write_json, write_text
from unseen.run_folder import SCHEMA
from unseen.run_state import lock_folder, read_summary, state_of
from unseen.runs.console import console, job_outcome, notice, shown_path, sweep_tables
from unseen.runs.ending import end_on_signals
from unseen.runs.errors import UserError
from unseen.runs.isolation import Child, start, stop, warm_up
from unseen.runs.overrides import key_of, override
from unseen.runs.own_folder import CONTINUE, JOB
from unseen.runs.ranks import how_killed
from unseen.settings import effect_of

_POLL_SECONDS = 0.05
_SWEEP_COLUMNS = (
    "job", "status", "reason", "model", "data", "size", "seed", "seen_accuracy", "g", "best_layer",
    "best_layer_name", "best_depth", "num_layers", "steps", "seconds", "config_hash", "folder",
)  # fmt: skip


@dataclass
class Job:
    """One point of the grid.

    Attributes:
        overrides: What was typed for it.
        folder: Where it runs, or where it has run.
        config_hash: Which run it is, wherever its folder is.
        label: What tells it from the other jobs of the sweep.
        state: done, running (in another process), half-done (has a checkpoint), failed, or missing: what was
            found before the sweep began, or when its turn came.
        written_before: When summary.json was written before the job was started (ns); None if there was none.
        settings: Its configuration, resolved; empty where nobody has composed it.
    """

    overrides: Sequence[str]
    folder: Path
    config_hash: str
    state: str = "missing"
    label: str = ""
    written_before: int | None = None
    settings: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that a half-done job goes on from."""
        return self.folder / "checkpoints" / "last.ckpt"

    def arguments(self) -> list[str]:
        """Return what is typed to run this job alone, into its folder."""
        # what was typed for the sweep's folder must not win over the job's
        typed = [typed for typed in self.overrides if not asks_for_a_way_of_running(typed)]
        return [*typed, override("hydra.run.dir", str(self.folder))]

    def environment(self) -> dict[str, str]:
        """Return what tells the job's process that it belongs to a sweep, and where it stands."""
        return {JOB: "1"} | ({CONTINUE: "1"} if self.state == "half-done" else {})

    def summary(self) -> dict[str, Any]:
        """Return summary.json, or an empty dictionary before there is one."""
        return read_summary(self.folder)

    def written(self) -> int | None:
        """Return when summary.json was written, in nanoseconds; None if there is none."""
        with suppress(OSError):
            return (self.folder / "summary.json").stat().st_mtime_ns
        return None


def asks_for_a_way_of_running(typed: str) -> bool:
    """Return whether an override asks for a way of running, not for another result; a job need not hear of it."""
    return effect_of(key_of(typed)) == "command"


def label_jobs(jobs: Sequence[Job]) -> None:
    """Name jobs by what differs between them; what all have in common says nothing."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    for job in jobs:
        job.label = " ".join(typed for typed in job.overrides if typed not in common) or "job"


class SweepFailedError(Exception):
    """At least one job of the sweep failed."""


def find_runs(roots: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the folders of all runs below the roots by their configuration's hash, newest last.

    Whatever else lies there, broken or of another program, is passed over.
    """
    found: dict[str, list[tuple[float, Path]]] = {}
    for root in roots:
        for path in root.glob("*/summary.json"):
            digest = read_summary(path.parent).get("config_hash")
            if isinstance(digest, str) and digest:
                with suppress(OSError):
                    found.setdefault(digest, []).append((path.stat().st_mtime, path.parent))
    return {digest: [folder for _, folder in sorted(folders)] for digest, folders in found.items()}


def settle(jobs: Sequence[Job], known: dict[str, list[Path]]) -> None:
    """Point each job to the folder in which it was run before, and say how far it came."""
    for job in jobs:
        for folder in known.get(job.config_hash, []):  # a finished one wins, else the newest
            status = state_of(folder).status
            job.folder = folder
            if status == "running":
                job.state = "running"
                break
            if status == "finished":
                job.state = "done"
                break
            if job.checkpoint.is_file():
                job.state = "half-done"
            else:
                job.state = "failed" if status == "failed" else "missing"


@dataclass
class Sweep:
    """Runs jobs, several at a time where there are places for them.

    Args:
        jobs: The grid.
        folder: Of the sweep; gets sweep.csv.
        entry: The script that was typed (src/train.py); it becomes argv[0] of every job.
        command: What a job's process runs.
        configs: Folder of the YAML files; the jobs read a copy of it in the sweep's folder.
        check: Called with the jobs to run when the libraries are loaded; raises UserError where one cannot run here.
        slots: Called after that; returns the environment of each place at which a job can run.
        resume: Jobs may have run before, or run in another sweep now.
    """

    jobs: Sequence[Job]
    folder: Path
    entry: str
    command: Callable[[], None]
    configs: Path
    check: Callable[[Sequence[Job]], None] = lambda _: None
    slots: Callable[[], Sequence[dict[str, str]]] = lambda: [{}]
    resume: bool = False
    _ended: int = field(default=0, init=False)

    def run(self) -> None:
        """Run what is not done, then write and print the tables.

        Raises:
            SweepFailedError: A job failed; the others were run all the same.
            UserError: The folder cannot be written, or a job cannot run on this machine; none was started.
            KeyboardInterrupt: The user stopped the sweep; its jobs were stopped, too.
        """
        waiting = [job for job in self.jobs if job.state not in {"done", "running"}]
        self._ended = len(self.jobs) - len(waiting)
        for job in self.jobs:
            if job.state == "running":
                notice(f"{job.label} is running in another process; it is left to it")
        _say(f"sweep of {len(self.jobs)} jobs, {self._ended} of them done before · {shown_path(self.folder)}")
        if waiting:
            self._run(waiting)
        if failed := write_table(self.jobs, self.folder):
            raise SweepFailedError(failed[0])

    def _run(self, waiting: list[Job]) -> None:
        configs = self._copy_configs()
        warm_up()
        try:
            self.check(waiting)
        except UserError:
            shutil.rmtree(configs, ignore_errors=True)
            raise
        free = list(self.slots())
        running: dict[Child, tuple[Job, dict[str, str]]] = {}
        end_on_signals()
        try:
            while waiting or running:
                while waiting and free:
                    job = waiting.pop(0)
                    if (child := self._start(job, free[0], configs)) is not None:
                        running[child] = (job, free.pop(0))
                for child in [child for child in running if child.poll() is not None]:
                    job, slot = running.pop(child)
                    free.append(slot)
                    assert child.code is not None
                    record_end(job, child.code)
                    self._tell_end(job)
                time.sleep(_POLL_SECONDS)
        finally:
            stop(list(running))
            for child, (job, _) in running.items():
                record_end(job, child.code or 0)
            _write_csv(self.jobs, self.folder)
            shutil.rmtree(configs, ignore_errors=True)

    def _copy_configs(self) -> Path:
        """Copy the YAML files: a later edit of one must not reach the jobs that still wait.

        Raises:
            UserError: The folder cannot be written, or is full.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # a folder of its own: another sweep may go on in this one
            target = Path(tempfile.mkdtemp(prefix=".configs-", dir=self.folder))
            shutil.copytree(self.configs, target, dirs_exist_ok=True)
        except OSError as error:  # copytree collects the errors of all files
            first = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
            raise UserError(f"cannot write into the sweep's folder {self.folder}: {first}") from error
        return target

    def plan(self) -> None:
        """Print what `run` would do."""
        what = {
            "done": "is finished",
            "running": "is running in another process",
            "half-done": "continues from its last checkpoint",
            "failed": "runs again",
        }
        for job in self.jobs:
            _say(f"{what.get(job.state, 'runs')}: {job.label} · {shown_path(job.folder)}")
        todo = sum(job.state not in {"done", "running"} for job in self.jobs)
        _say(f"{todo} of {len(self.jobs)} jobs would run")

    def _start(self, job: Job, slot: dict[str, str], configs: Path) -> Child | None:
        """Start a job; None if it has ended or runs elsewhere by now, or cannot be started."""
        if self.resume:  # its turn may come hours after the sweep began, and another one may have been faster
            settle([job], {job.config_hash: [job.folder]} if job.summary() else {})
            if job.state in {"done", "running"}:
                self._tell_end(job)
                return None
        job.written_before = job.written()
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            (job.folder / "console.log").touch()
        except OSError as error:
            notice(f"{job.label} cannot be started: {error.strerror}: {error.filename}")
            self._tell_end(job)
            return None
        _say(f"{job.label}: started · {shown_path(job.folder / 'console.log')}")
        return start(
            self.command,
            [self.entry, "--config-path", str(configs), *job.arguments()],
            console=job.folder / "console.log",
            environment=slot | job.environment() | {"UNSEEN_SWEEP": self.folder.name},
        )

    def _tell_end(self, job: Job) -> None:
        self._ended += 1
        _say(f"[{self._ended}/{len(self.jobs)}] {job.label}: {job_outcome(state_of(job.folder))}")
        _write_csv(self.jobs, self.folder)


def record_end(job: Job, code: int) -> None:
    """Write down why a job ended that could not do so itself: killed, or gone before it began.

    A folder that another process holds is that process's: nothing is written there. A disk that cannot be written is
    no error: how the job stands is then told from its folder (`run_state`).
    """
    try:
        lock = lock_folder(job.folder)
    except (ValueError, OSError):
        return
    try:
        clear_leftovers(job.folder)
        summary = job.summary()
        if summary.get("status") == "finished":  # by this job, or by another process that was faster
            return
        own_words = job.written() != job.written_before
        if summary.get("status") == "failed" and summary.get("reason") and own_words:
            return
        if code < 0:
            reason = how_killed(code)
        else:
            reason = f"ended with exit code {code}: {_last_line(job.folder / 'console.log')}"
        ended = {"status": "failed", "reason": reason, "config_hash": job.config_hash}
        write_json(job.folder / "summary.json", {"schema": SCHEMA} | summary | ended)
    except OSError as error:
        notice(f"why {job.label} ended cannot be written: {error.strerror}: {error.filename}")
    finally:
        lock.release()


def write_table(jobs: Sequence[Job], folder: Path) -> list[str]:
    """Write sweep.csv, print the jobs and the means over seeds; return a sentence if jobs failed, else nothing."""
    rows = _write_csv(jobs, folder)
    out = console()
    sweep_tables(out, rows)
    out.print(f"table in {shown_path(folder / 'sweep.csv')}", soft_wrap=True)
    elsewhere = sum(row["status"] == "running" for row in rows)
    if elsewhere:
        notice(f"{elsewhere} of {len(rows)} jobs running in another process, left to it")
    failed = sum(row["status"] not in {"finished", "running"} for row in rows)
    again = "the same line with resume=true runs only those again"
    return [f"{failed} of {len(rows)} jobs failed; {again}"] if failed else []


def _write_csv(jobs: Sequence[Job], folder: Path) -> list[dict[str, Any]]:
    rows = []
    for job in jobs:
        state = state_of(job.folder)
        row = {name: state.summary.get(name) for name in _SWEEP_COLUMNS}
        rows.append(
            row
            | {
                "job": job.label,
                "status": state.status,
                "reason": state.reason,
                "config_hash": state.summary.get("config_hash", job.config_hash),
                "folder": os.path.relpath(job.folder, folder),
            }
        )
    text = csv_text(_SWEEP_COLUMNS, ([row[name] for name in _SWEEP_COLUMNS] for row in rows))
    try:
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
