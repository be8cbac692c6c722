"""The jobs of a sweep: what was typed for each, which folder it has, and which of them ran before."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unseen.run_state import State, read_summary, state_of
from unseen.runs.console import say, shown_path
from unseen.runs.errors import UserError
from unseen.runs.own_folder import CONTINUE, JOB, give_back, is_claimed
from unseen.runs.typed_line import key_of, override
from unseen.settings import effect_of

_LONGEST_FOLDER_NAME = 120


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


def name_jobs(jobs: list[Job], fixed: Collection[str] = ()) -> None:
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


def find_earlier(jobs: Sequence[Job], folder: Path) -> Path:
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


def refuse_to_replace(jobs: Sequence[Job]) -> None:
    """Raise UserError where a job's folder holds a run that is finished or running."""
    kept = [job for job in jobs if state_of(job.folder).status in {"finished", "running"}]
    if kept:
        raise UserError(
            f"{kept[0].folder.parent} holds {len(kept)} of these jobs, finished or running ({kept[0].folder.name}); "
            "add resume=true to keep them and to run the others, or type another hydra.sweep.dir"
        )


def print_plan(jobs: Sequence[Job]) -> None:
    """Print what would become of each job."""
    what = {"finished": "is finished", "running": "is running in another process", "missing": "runs"}
    for job in jobs:
        does = "continues from its last checkpoint" if job.continues else what.get(job.status, "runs again")
        say(f"{does}: {job.label} · {shown_path(job.folder)}")
    say(f"{sum(job.is_open for job in jobs)} of {len(jobs)} jobs would run")
