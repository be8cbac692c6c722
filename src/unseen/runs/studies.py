"""Studies over networks or tasks that were measured: `study=` of biases.py and transfer.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unseen.run_state import state_of
from unseen.runs.console import console, say, shown_path
from unseen.runs.errors import UserError, user_errors
from unseen.runs.schema import check_settings, read_places
from unseen.runs.typed_line import key_of
from unseen.wording import listing

_READ = ("study", "runs", "paths", "hydra")


def study_run(config: DictConfig) -> None:
    """Make the study into the run's folder and print its sentences.

    Raises:
        UserError: A setting that no study reads, no runs, or a folder that cannot be written.
    """
    with user_errors(OmegaConfBaseException):
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    with user_errors():
        check_settings(plain, read_places(config, HydraConfig.instance().cfg))
    for text in HydraConfig.get().overrides.task:
        if re.split("[./]", key_of(text))[0] not in _READ:
            raise UserError(
                f"{key_of(text)} is not read by study={config.study}, which measures nothing; it reads "
                f"{listing(_READ)}"
            )
    out = Path(plain["paths"]["output_dir"])
    runs = [plain["runs"]] if isinstance(plain["runs"], str) else plain["runs"]
    folders = [Path(run).expanduser() for run in runs]
    typed = any(key_of(text) == "runs" for text in HydraConfig.get().overrides.task)
    with user_errors(ValueError, OSError):
        for folder in folders:
            if typed and not folder.is_dir():
                raise ValueError(f"runs={folder} is not a folder")
        if "encoder" in plain:
            from unseen.reporting.transfer.study_folder import transfer_study

            sentences, made = transfer_study(folders, out), out
        else:
            sentences, made = _of_biases(plain["study"], folders, out, typed=typed), out / "page.html"
    for sentence in sentences:
        console().print(sentence, soft_wrap=True)
    say(f"{'tables' if made == out else 'page'} in {shown_path(made)}")


def _of_biases(study: str, folders: list[Path], out: Path, *, typed: bool) -> list[str]:
    from unseen.reporting.biases.own_networks import own_networks
    from unseen.reporting.biases.own_study import own_study
    from unseen.reporting.biases.study import published_study

    if study == "own":
        return own_study(folders, out)
    # one's own networks are points over the published ones, if there are any
    has_own = typed or any(_holds_finished(folder) for folder in folders)
    return published_study(out, own_networks(folders) if has_own else None)


def _holds_finished(folder: Path) -> bool:
    return any(
        state.status == "finished" and state.summary.get("kind") == "biases"
        for state in (state_of(path.parent) for path in folder.rglob("summary.json"))
    )
