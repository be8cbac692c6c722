"""A W&B run that never costs the run that it watches: what fails is a note, and what cannot be sent is kept offline."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import wandb
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger

from unseen.process_rank import is_first_process
from unseen.runs.console import notice
from unseen.wording import one_line

_PATIENCE = {"init_timeout": 20.0, "finish_timeout": 300.0}  # seconds; W&B's own are 90 and without end
_ENVIRONMENT = {"init_timeout": "WANDB_INIT_TIMEOUT", "finish_timeout": "WANDB_FINISH_TIMEOUT"}


class PatientWandbLogger(WandbLogger):
    """Lightning's logger, of which no error reaches the training. After the first it is silent.

    Args:
        settings: Of `WandbLogger` and `wandb.init`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(settings=_patience(), **settings)
        self._wandb_init.pop("anonymous", None)  # Lightning always sends it, and W&B warns of it each time
        self._is_broken = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send scalars."""
        with self._told("the metrics"):
            super().log_metrics(metrics, step)

    def log_hyperparams(self, params: Any) -> None:
        """Send the configuration."""
        with self._told("the configuration"):
            super().log_hyperparams(params)

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Send checkpoints, if log_model asks for them."""
        with self._told("a checkpoint"):
            super().after_save_checkpoint(checkpoint_callback)

    def finalize(self, status: str) -> None:
        """Send the checkpoints that are left."""
        with self._told("the checkpoints"):
            super().finalize(status)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            logging.getLogger(__name__).warning("W&B did not get %s", what, exc_info=True)
            if not self._is_broken:
                notice(
                    f"W&B did not get {what}: {one_line(error)}; the run goes on, its folder has all numbers"
                )
            self._is_broken = True


def started_logger(
    folder: Path, *, offline: bool, log_model: bool | Literal["all"], settings: Mapping[str, Any]
) -> WandbLogger:
    """Return a logger whose W&B run has begun: online, or offline if W&B cannot be reached or refuses.

    Args:
        folder: Gets W&B's files.
        offline: Do not try to reach W&B.
        log_model: Whether checkpoints are uploaded: at the end (true) or each ("all").
        settings: Of `WandbLogger` and `wandb.init`.

    Raises:
        ValueError: The settings are none that W&B takes, online or offline.
    """
    known = {"save_dir": str(folder), **settings}
    if not is_first_process():
        return PatientWandbLogger(offline=True, **known)  # its run is the first process's
    before = set(_runs(folder))
    if not offline:
        try:
            return _begun(PatientWandbLogger(log_model=log_model, **known))
        except Exception as error:
            logging.getLogger(__name__).warning("W&B did not begin a run", exc_info=True)
            _forget(set(_runs(folder)) - before)
            notice(
                f"W&B could not begin this run ({_short(error)}); it is logged offline under {folder}/wandb, upload it "
                "later with `wandb sync`"
            )
    if log_model:
        notice("logger.wandb.log_model: nothing is uploaded offline; the checkpoints are in the run folder")
    try:
        return _begun(PatientWandbLogger(offline=True, **known))
    except Exception as error:
        raise ValueError(f"W&B takes no run with these settings of logger.wandb: {_short(error)}") from error


def _begun(logger: PatientWandbLogger) -> PatientWandbLogger:
    _ = logger.experiment  # begins the run
    return logger


def _patience() -> wandb.Settings:
    """Return W&B's settings with bounds on the time that it may take, where the user has set none."""
    known = wandb.Settings.model_fields  # older versions do not have all
    return wandb.Settings(
        **{
            name: seconds
            for name, seconds in _PATIENCE.items()
            if name in known and not os.environ.get(_ENVIRONMENT[name])
        }
    )


def _runs(folder: Path) -> list[Path]:
    return [path for path in (folder / "wandb").glob("run-*") if path.is_dir() and not path.is_symlink()]


def _forget(begun: set[Path]) -> None:
    """Take away what a run that never began has left, in W&B and on disk."""
    wandb.teardown(exit_code=1)
    os.environ.pop("WANDB_API_KEY", None)  # one that is malformed is an error offline, too
    for path in begun:
        shutil.rmtree(path, ignore_errors=True)


def _short(error: BaseException) -> str:
    text = one_line(error)
    return text if len(text) <= 300 else text[:300] + " …"
