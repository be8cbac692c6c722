"""What jobs leave, whatever launcher started them: why one ended, and the table of all."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unseen.atomic_files import clear_leftovers, csv_text, write_json, write_text
from unseen.run_folder import SCHEMA
from unseen.run_state import lock_folder, read_summary, state_of
from unseen.runs.console import console, notice, shown_path
from unseen.runs.ending import how_killed
from unseen.runs.sweeps.jobs import Job
from unseen.runs.sweeps.tables import configuration_of, sweep_tables
from unseen.wording import listing

_COLUMNS = (
    "job", "configuration", "status", "reason", "model", "data", "size", "unseen", "seed", "seen_accuracy", "g",
    "best_layer", "best_layer_name", "best_depth", "num_layers", "steps", "seconds", "config_hash", "split_hash",
    "folder",
)  # fmt: skip


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
    rows = write_csv(jobs, folder)
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


def write_csv(jobs: Sequence[Job], folder: Path) -> list[dict[str, Any]]:
    """Write sweep.csv, a row a job as its folder stands now; return the rows."""
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
                "values": state.summary.get("values"),
            }
        )
    measured = [  # of biases.py and transfer.py
        {
            f"{measure}@{on}": value
            for measure, values in (row["values"] or {}).items()
            for on, value in values.items()
        }
        for row in rows
    ]
    columns = (*_COLUMNS, *dict.fromkeys(name for values in measured for name in values))
    cells = [row | values for row, values in zip(rows, measured, strict=True)]
    try:
        text = csv_text(columns, ([row.get(name) for name in columns] for row in cells))
        write_text(folder / "sweep.csv", text)
    except OSError as error:  # the jobs go on; their folders have everything
        notice(f"the table cannot be written: {error.strerror}: {error.filename}")
    return rows


def _last_line(path: Path) -> str:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return "no output"
    return next((line for line in reversed(lines) if line), "no output")
