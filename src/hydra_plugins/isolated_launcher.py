"""The default launcher for `-m`: hydra/launcher=isolated, which gives every job of a sweep a fresh process tree."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


class IsolatedLauncher(Launcher):
    """Composes the jobs and hands them to `unseen.runs.sweeps.sweep`.

    Args:
        n_jobs: How many run at once; None: one, or as many as there are groups of `trainer.devices` GPUs.
    """

    def __init__(self, n_jobs: int | None = None) -> None:
        self._n_jobs = n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self._search: Any = None
        self._folder = Path(str(config.hydra.sweep.dir))

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their results are in their folders, and what is optimised is what they return."""
        from unseen.runs.commands import command_of
        from unseen.runs.errors import UserError
        from unseen.runs.project import CONFIGS
        from unseen.runs.sweeps.search import Search
        from unseen.runs.sweeps.sweep import Sweep

        n_jobs = self._n_jobs
        if n_jobs is not None and (not isinstance(n_jobs, int) or n_jobs < 1):
            raise UserError(f"hydra.launcher.n_jobs={n_jobs} must be a whole number of at least 1, or null")
        composed: list[tuple[list[str], Any]] = []
        for number, overrides in enumerate(job_overrides):
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = config.hydra.job.num = initial_job_idx + number
            composed.append((list(overrides), config))
        configs = {"--config-path": CONFIGS}
        for source in self.config.hydra.runtime.config_sources:
            if source.provider == "command-line":
                configs["--config-dir"] = Path(source.path)
        command = command_of(self.config.hydra.job.config_name)
        sweeper = self.config.hydra.sweeper
        if self.config.optimized_metric and self._search is None:
            self._search = Search(
                self.config.optimized_metric,
                maximize="max" in str(sweeper.direction),
                planned=sweeper.n_trials,
                fixed=frozenset(self.config.hydra.overrides.task),
            )
        sweep = Sweep(self._folder, sys.argv[0], command, configs, n_jobs=n_jobs, search=self._search)
        sweep.launch(composed)
        if self._search:
            self._folder = sweep.folder  # with resume=true an earlier one
            Path(str(self.config.hydra.sweep.dir)).mkdir(
                parents=True, exist_ok=True
            )  # the sweeper writes there, too
        returned = []
        for job in sweep.jobs:
            result = JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED)
            result.return_value = self._search and self._search.value(job)
            returned.append(result)
        return returned
