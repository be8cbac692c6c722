"""Jobs of sweeps one after the other in this process: python study_jobs.py JOBS.json ARCHITECTURES.

A sweep forks for each of its jobs, which takes longer than a job that is cut small and is tested elsewhere
(test_sweep_command.py). The file is a list of (command, overrides, folder), the
folder has architectures of open_clip. A job that fails is printed with its stack
trace, and the others go on.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import open_clip
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict

from unseen.runs.cli import register_resolvers
from unseen.runs.commands import biases_job, train_job, transfer_job
from unseen.runs.own_folder import JOB
from unseen.runs.project import CONFIGS
from unseen.threads import settle_threads

JOBS = {"train": train_job, "biases": biases_job, "transfer": transfer_job}


def run_job(command: str, overrides: list[str], folder: str) -> None:
    sys.argv = [f"src/{command}.py", *overrides]  # written into the run's folder, and read by the report
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(command, overrides, return_hydra_config=True)
        with open_dict(config):
            config.hydra.runtime.output_dir = folder
            HydraConfig.instance().set_config(config)
            del config.hydra
        JOBS[command](config)


if __name__ == "__main__":  # pytest imports every module for its doctests
    os.environ[JOB] = "1"  # as a sweep marks them
    settle_threads()
    register_resolvers()
    open_clip.add_model_config(Path(sys.argv[2]))
    jobs = json.loads(Path(sys.argv[1]).read_text())
    for command, overrides, folder in jobs:
        try:
            run_job(command, overrides, folder)
        except Exception:  # the test of its study tells
            print(command, *overrides, file=sys.stderr)
            traceback.print_exc()
    sys.exit(0)
