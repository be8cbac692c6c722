"""Loggers that never prompt and never delete."""

from __future__ import annotations

import netrc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch.loggers import CSVLogger, WandbLogger


def csv_logger(folder: str) -> CSVLogger:
    """Return a logger that writes `folder`/metrics/version_N/metrics.csv; a resumed run gets the next N."""
    from lightning.pytorch.loggers import CSVLogger

    return CSVLogger(save_dir=folder, name="metrics")


def wandb_logger(folder: str, *, project: str, job_type: str, **settings: Any) -> WandbLogger:
    """Return a W&B logger: online with a key, else offline with a notice; WANDB_MODE decides where it is set."""
    from lightning.pytorch.loggers import WandbLogger

    from unseen.runs.console import notice

    mode = os.environ.get("WANDB_MODE")
    if mode is None and not has_key():
        mode = "offline"
        notice(
            f"W&B: no key (WANDB_API_KEY or `wandb login`), so this run is logged offline under {folder}/wandb; "
            "upload it later with `wandb sync`"
        )
    os.environ["WANDB_SILENT"] = os.environ.get("WANDB_SILENT", "true")
    return WandbLogger(
        save_dir=folder,
        project=project,
        offline=mode == "offline",
        log_model=False,
        job_type=job_type,
        **settings,
    )


def has_key() -> bool:
    """Return whether W&B would find a key: in the environment or where `wandb login` puts it."""
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
