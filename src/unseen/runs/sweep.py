"""A sweep: jobs in fresh processes, one folder each, one table at the end; what is finished is never run twice."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unseen.atomic_files import write_json, write_text
from unseen.folder_lock import is_locked
from unseen.run_folder import SCHEMA
from unseen.runs.console import console, notice, shown_path, sweep_tables
from unseen.runs.isolation import Child, start, warm_up

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
            found before the sweep began.
    """

    overrides: Sequence[str]
    folder: Path
    config_hash: str
    state: str = "missing"
    label: str = ""

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that a half-done job goes on from."""
        return self.folder / "checkpoints" / "last.ckpt"

    def arguments(self) -> list[str]:
        """Return what is typed to run this job alone, into its folder, from where it stands."""
        # what was typed for the sweep's folder must not win over the job's
        typed = [override for override in self.overrides if not override.startswith(("ckpt_path=", "hydra."))]
        resumed = [f"ckpt_path='{self.checkpoint}'"] if self.state == "half-done" else []
        return [*typed, f"hydra.run.dir='{self.folder}'", *resumed]

    def summary(self) -> dict[str, Any]:
        """Return summary.json, or an empty dictionary before there is one."""
        try:
            content: dict[str, Any] = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content


def label_jobs(jobs: Sequence[Job]) -> None:
    """Name jobs by what differs between them; what all have in common says nothing."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    for job in jobs:
        job.label = " ".join(override for override in job.overrides if override not in common) or "job"


class SweepFailedError(Exception):
    """At least one job of the sweep failed."""


def find_runs(roots: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the folders of all runs below the roots by their configuration's hash, newest last."""
    found: dict[str, list[tuple[float, Path]]] = {}
    for root in roots:
        for path in root.glob("*/summary.json"):
            try:
                digest = json.loads(path.read_text(encoding="utf-8")).get("config_hash")
            except (OSError, ValueError):
                continue
            if digest:
                found.setdefault(digest, []).append((path.stat().st_mtime, path.parent))
    return {digest: [folder for _, folder in sorted(folders)] for digest, folders in found.items()}


def settle(jobs: Sequence[Job], known: dict[str, list[Path]]) -> None:
    """Point each job to the folder in which it was run before, and say how far it came."""
    for job in jobs:
        for folder in known.get(job.config_hash, []):  # a finished one wins, else the newest
            candidate = replace(job, folder=folder)
            if is_locked(folder):
                job.folder, job.state = folder, "running"
                break
            status = candidate.summary().get("status")
            if status == "finished":
                job.folder, job.state = folder, "done"
                break
            job.folder = folder
            job.state = (
                "half-done"
                if candidate.checkpoint.is_file()
                else "failed"
                if status == "failed"
                else "missing"
            )


@dataclass
class Sweep:
    """Runs jobs, `slots` at a time.

    Args:
        jobs: The grid.
        folder: Of the sweep; gets sweep.csv.
        entry: The script that was typed (src/train.py); it becomes argv[0] of every job.
        command: What a job's process runs.
        configs: Folder of the YAML files; the jobs read a copy of it in the sweep's folder.
        slots: Environment of each place at which a job can run; its length is how many run at once.
    """

    jobs: Sequence[Job]
    folder: Path
    entry: str
    command: Callable[[], None]
    configs: Path
    slots: Sequence[dict[str, str]] = field(default_factory=lambda: [{}])

    def run(self) -> None:
        """Run what is not done, then write and print the tables.

        Raises:
            SweepFailedError: A job failed; the others were run all the same.
            KeyboardInterrupt: The user stopped the sweep; its jobs were stopped, too.
        """
        out = console()
        waiting = [job for job in self.jobs if job.state not in {"done", "running"}]
        done = len(self.jobs) - len(waiting)
        for job in self.jobs:
            if job.state == "running":
                notice(f"{job.label} is running in another process; it is left to it")
        out.print(f"sweep of {len(self.jobs)} jobs, {done} of them done before · {shown_path(self.folder)}")
        if waiting:
            # a later edit of a YAML must not reach the jobs that still wait
            shutil.copytree(self.configs, self._configs, dirs_exist_ok=True)
            warm_up()
        free = list(self.slots)
        running: dict[Child, tuple[Job, dict[str, str]]] = {}
        previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            while waiting or running:
                while waiting and free:
                    job, slot = waiting.pop(0), free.pop(0)
                    running[self._start(job, slot)] = (job, slot)
                for child in [child for child in running if child.poll() is not None]:
                    job, slot = running.pop(child)
                    free.append(slot)
                    assert child.code is not None
                    record_end(job, child.code)
                    done += 1
                    out.print(f"[{done}/{len(self.jobs)}] {job.label}: {_outcome(job)}", soft_wrap=True)
                    _write_csv(self.jobs, self.folder)
                time.sleep(_POLL_SECONDS)
        finally:
            for child in running:
                child.kill()
            signal.signal(signal.SIGTERM, previous)
            _write_csv(self.jobs, self.folder)
        if failed := write_table(self.jobs, self.folder):
            raise SweepFailedError(failed[0])

    @property
    def _configs(self) -> Path:
        return self.folder / ".configs"

    def plan(self) -> None:
        """Print what `run` would do."""
        what = {
            "done": "is finished",
            "running": "is running in another process",
            "half-done": "continues from its last checkpoint",
            "failed": "runs again",
        }
        for job in self.jobs:
            console().print(
                f"{what.get(job.state, 'runs')}: {job.label} · {shown_path(job.folder)}", soft_wrap=True
            )
        todo = sum(job.state not in {"done", "running"} for job in self.jobs)
        console().print(f"{todo} of {len(self.jobs)} jobs would run")

    def _start(self, job: Job, slot: dict[str, str]) -> Child:
        job.folder.mkdir(parents=True, exist_ok=True)
        argv = [self.entry, "--config-path", str(self._configs), *job.arguments()]
        environment = slot | {"UNSEEN_SWEEP": self.folder.name, "UNSEEN_JOB": "1"}
        return start(self.command, argv, console=job.folder / "console.log", environment=environment)


def record_end(job: Job, code: int) -> None:
    """Write down why a job ended that could not do so itself: killed, or gone before it began."""
    summary = job.summary()
    if code == 0 and summary.get("status") == "finished":
        return
    if summary.get("status") == "failed" and summary.get("reason"):
        return
    if code < 0:
        name = signal.Signals(-code).name
        reason = f"killed by {name}" + (" (out of memory, or by hand)" if name == "SIGKILL" else "")
    else:
        reason = f"ended with exit code {code}: {_last_line(job.folder / 'console.log')}"
    ended = {"status": "failed", "reason": reason, "config_hash": job.config_hash}
    write_json(job.folder / "summary.json", {"schema": SCHEMA} | summary | ended)


def write_table(jobs: Sequence[Job], folder: Path) -> list[str]:
    """Write sweep.csv, print the jobs and the means over seeds; return a sentence if jobs failed, else nothing."""
    rows = _write_csv(jobs, folder)
    out = console()
    sweep_tables(out, rows)
    out.print(f"table in {shown_path(folder / 'sweep.csv')}", soft_wrap=True)
    failed = sum(row["status"] != "finished" for row in rows)
    again = "the same line with resume=true runs only those again"
    return [f"{failed} of {len(rows)} jobs failed; {again}"] if failed else []


def _write_csv(jobs: Sequence[Job], folder: Path) -> list[dict[str, Any]]:
    rows = []
    for job in jobs:
        summary = job.summary()
        row = {name: summary.get(name) for name in _SWEEP_COLUMNS}
        rows.append(
            row
            | {
                "job": job.label,
                "status": summary.get("status", "missing"),
                "config_hash": summary.get("config_hash", job.config_hash),
                "folder": os.path.relpath(job.folder, folder),
            }
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, _SWEEP_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "sweep.csv", text.getvalue())
    return rows


def _outcome(job: Job) -> str:
    found = job.summary()
    if found.get("status") != "finished":
        return f"failed: {found.get('reason')}"
    place = f"{found['best_layer_name']} (layer {found['best_layer']} of 0..{found['num_layers'] - 1})"
    return (
        f"g {found['g']:.3f} at {place}, seen accuracy {found['seen_accuracy']:.3f}, {found['seconds']:.0f} s"
    )


def _last_line(path: Path) -> str:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return "no output"
    return next((line for line in reversed(lines) if line), "no output")
