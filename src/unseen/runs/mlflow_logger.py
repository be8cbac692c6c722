"""MLflow's logger, for several runs that share a database in a file."""

from __future__ import annotations

import inspect
import logging
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock
from lightning.pytorch.loggers import MLFlowLogger

_SQLITE = "sqlite:///"


class SharedMLFlowLogger(MLFlowLogger):
    """Lightning's, with its arguments; its run begins at once.

    Processes that begin together make the tables of a new database, and the experiment, one by one.
    """

    __signature__ = inspect.signature(MLFlowLogger)  # by which settings are checked

    def __init__(self, *values: Any, **settings: Any) -> None:
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # each table that is made would be a line
        logging.getLogger("lightning.pytorch.loggers.mlflow").setLevel(logging.ERROR)  # and the experiment
        with _alone(str(settings.get("tracking_uri") or "")):
            super().__init__(*values, **settings)
            _ = self.experiment


def _alone(uri: str) -> AbstractContextManager[Any]:
    """Return what keeps other processes away from a database that is a file of this machine."""
    if not uri.startswith(_SQLITE):
        return nullcontext()
    path = Path(uri.removeprefix(_SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{path}.lock")
