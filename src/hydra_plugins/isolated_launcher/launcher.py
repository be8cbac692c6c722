"""The default launcher for `-m`: hydra/launcher=isolated."""

# No postponed annotations here: Hydra runs this file outside sys.modules, where dataclasses cannot resolve them.

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


@dataclass
class IsolatedLauncherConf:
    """Settings of hydra.launcher."""

    _target_: str = "hydra_plugins.isolated_launcher.launcher.IsolatedLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="isolated", node=IsolatedLauncherConf, provider="isolated_launcher"
)


class IsolatedLauncher(Launcher):
    """Composes the jobs, then hands them to `unseen.runs.sweep`."""

    def __init__(self) -> None:
        self.config: Any = None
        self.hydra_context: Any = None
        self.task_function: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; their results are in their folders."""
        from unseen.runs.jobs import command_of
        from unseen.runs.launch import launch_sweep

        loader = self.hydra_context.config_loader
        composed = []
        for number, overrides in enumerate(job_overrides):
            config = loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = config.hydra.job.num = initial_job_idx + number
            composed.append((list(overrides), config))
        name = self.config.hydra.job.config_name
        launch_sweep(
            composed, Path(str(self.config.hydra.sweep.dir)), entry=sys.argv[0], command=command_of(name)
        )
        done = JobReturn()
        done.status = JobStatus.COMPLETED
        return [done for _ in composed]
