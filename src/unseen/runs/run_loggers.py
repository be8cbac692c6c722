"""The loggers of a run from its configuration, and what they are told of its settings."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from unseen.process_rank import is_first_process
from unseen.run_folder import RunFolder
from unseen.runs.errors import user_errors
from unseen.runs.identity import choices, git_state
from unseen.runs.objects import make
from unseen.runs.project import PROJECT_ROOT
from unseen.runs.typed_line import taken_literally

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from unseen.runs.wandb_view import WandbView


def named_anew(loggers: DictConfig, plain: dict[str, Any]) -> Any:
    """Return the loggers' settings with the names of the network and data that the checkpoint brought."""
    unresolved = OmegaConf.to_container(loggers, resolve=False)
    around = OmegaConf.create(taken_literally(plain) | {"logger": unresolved})
    return OmegaConf.to_container(around.logger, resolve=True)


def make_loggers(
    folder: RunFolder, plain: dict[str, Any], *, job_type: str
) -> tuple[list[Logger], WandbView | None]:
    """Return the loggers of a run, with its settings logged, and what shows its scores on W&B, if that is one of them.

    Args:
        folder: Of the run.
        plain: The resolved configuration.
        job_type: train, eval, biases or transfer.

    Raises:
        UserError: A logger that cannot be made.
    """
    from lightning.pytorch.loggers import Logger, WandbLogger

    loggers: list[Logger] = []
    with user_errors(ValueError, OSError):
        for name, node in plain["logger"].items():
            if node is not None:
                maker = make(node | {"_partial_": True}, f"logger.{name}")
                job = {"job_type": job_type} if "job_type" in inspect.signature(maker).parameters else {}
                loggers.append(make(node, f"logger.{name}", Logger, **job))
    view = None
    settings = _logged_settings(folder, plain)
    for logger in loggers:
        logger.log_hyperparams(settings)
        if isinstance(logger, WandbLogger) and is_first_process():
            from unseen.runs.wandb_view import WandbView

            view = WandbView(folder, logger.experiment)
    return loggers, view


def _logged_settings(folder: RunFolder, plain: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration for loggers: beside it what the run is made of, and no places of this machine."""
    found: dict[str, Any] = {
        name: folder.summary[name]
        for name in ("parameters", "trainable_parameters", "versions")
        if name in folder.summary
    }
    if state := git_state():
        found["git"] = state
    places = {str(folder.path.absolute()): ".", str(PROJECT_ROOT): ".", os.path.expanduser("~"): "~"}  # noqa: PTH111

    def shown(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: shown(value) for key, value in node.items()}
        if isinstance(node, list):
            return [shown(value) for value in node]
        inside = [place for place in places if isinstance(node, str) and node.startswith(f"{place}/")]
        return places[inside[0]] + node[len(inside[0]) :] if inside else node

    settings = {key: shown(value) for key, value in plain.items() if key not in {"paths", "logger"}}
    return settings | found | {"choices": choices()}
