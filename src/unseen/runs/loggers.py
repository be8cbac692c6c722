"""Loggers that never prompt for input and never delete files."""

from __future__ import annotations

import inspect
import netrc
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unseen.runs.console import notice, shown_path
from unseen.wording import one_line, suggestion

if TYPE_CHECKING:
    from lightning.pytorch.loggers import CSVLogger, WandbLogger

    from unseen.runs.wandb_view import WandbView

_MODES = ("online", "offline", "disabled", "shared", "run", "dryrun")
_SET_BY_PROGRAM = {"project", "job_type", "dir", "config", "settings", "mode", "id", "resume"}
_WITHOUT_EFFECT = {"anonymous", "reinit", "force"}


def csv_logger(folder: str) -> CSVLogger:
    """Return a logger that writes `folder`/metrics/version_N/metrics.csv; a resumed run gets the next N."""
    from lightning.pytorch.loggers import CSVLogger

    return CSVLogger(save_dir=folder, name="metrics")


def wandb_logger(
    folder: str,
    *,
    project: str,
    job_type: str,
    offline: bool = False,
    log_model: bool | Literal["all"] = False,
    **settings: Any,
) -> WandbLogger:
    """Return a W&B logger whose run has begun.

    WANDB_MODE or `offline` decide whether it is online; by default it is where there is a key. A run that cannot reach
    W&B is logged offline.

    Args:
        folder: Where W&B's files go.
        project: Name of the project on W&B.
        job_type: train or eval.
        offline: Do not try to reach W&B.
        log_model: Upload checkpoints: at the end (true) or each ("all"); not offline.
        settings: Further arguments of `wandb.init`: entity, group, name, tags, notes, ...

    Raises:
        ValueError: A setting or WANDB_MODE that W&B does not have.
    """
    mode = os.environ.get("WANDB_MODE") or None
    if mode not in {None, *_MODES}:
        raise ValueError(f"WANDB_MODE={mode} is not a mode of W&B; choose one of {', '.join(_MODES)}")
    if not isinstance(offline, bool) or (log_model != "all" and not isinstance(log_model, bool)):
        raise ValueError(
            "logger.wandb.offline must be true or false, logger.wandb.log_model true, false or all"
        )
    os.environ["WANDB_SILENT"] = os.environ.get("WANDB_SILENT", "true")
    import wandb

    from unseen.runs.wandb_view import started_logger

    known = sorted({*inspect.signature(wandb.init).parameters, "prefix", "checkpoint_name"})
    known = [name for name in known if name not in _SET_BY_PROGRAM | _WITHOUT_EFFECT]
    for name in settings:
        if name not in known:
            raise ValueError(
                f"logger.wandb.{name} is not a setting here{suggestion(name, known)}; W&B's files are in the run "
                f"folder, and there are offline, log_model, project, {', '.join(known)}"
            )
    if mode is None and not offline and not has_key():
        offline = True
        notice(
            "W&B: no key (WANDB_API_KEY or `wandb login`), so this run is logged offline; upload it later with "
            f"`wandb sync {shlex.quote(shown_path(Path(folder)))}/wandb/offline-run-*`"
        )
    return started_logger(
        Path(folder),
        offline=offline or mode in {"offline", "dryrun"},
        log_model=log_model,
        settings={"project": project, "job_type": job_type} | settings,
    )


def close_loggers(view: WandbView | None, *, failed: bool) -> None:
    """End the W&B run of this process, if there is one; that it cannot be ended is a note."""
    if view is not None:
        view.close()
    wandb = sys.modules.get("wandb")
    if wandb is None or wandb.run is None:
        return
    try:
        wandb.finish(exit_code=int(failed))
    except Exception as error:
        notice(f"W&B did not close the run: {one_line(error)}; the run folder has all numbers")
        with suppress(Exception):
            wandb.teardown(exit_code=1)  # else W&B tries again when Python exits, and prints a stack trace


def has_key() -> bool:
    """Return whether W&B would find a key: in the environment, or in the file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split("/")[0]
    for name in (".netrc", "_netrc"):
        path = Path.home() / name
        try:
            if path.is_file() and netrc.netrc(path).authenticators(host) is not None:
                return True
        except (netrc.NetrcParseError, OSError):
            continue
    return False
