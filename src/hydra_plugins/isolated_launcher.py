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
    """Composes the jobs and hands them to `unseen.runs.sweep`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their results are in their folders."""
        from unseen.runs.commands import command_of
        from unseen.runs.project import CONFIGS
        from unseen.runs.sweep import Sweep

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
        folder, command = self.config.hydra.sweep.dir, command_of(self.config.hydra.job.config_name)
        Sweep(Path(str(folder)), sys.argv[0], command, configs).launch(composed)
        done = JobReturn()
        done.status = JobStatus.COMPLETED
        return [done for _ in composed]
