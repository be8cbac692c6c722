"""A search: jobs of a sweep that follow from the results of earlier ones, such as Optuna's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from unseen.run_state import state_of
from unseen.runs.console import notice, say, shown_path
from unseen.runs.sweeps.job_results import write_table
from unseen.runs.sweeps.jobs import Job


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
            say(
                f"best of {len(self.trials)}: {self.metric} {value:.3f} with {job.label} · {shown_path(job.folder)}"
            )
