"""A folder for each run and each sweep, before Hydra writes anything into it.

Hydra names folders by the second. Two commands of one second must not share one, so a name is claimed by making the
folder, with a number added where it exists. A folder that was typed is used as typed, unless a run in it would be lost.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from unseen.process_rank import is_first_process
from unseen.run_state import state_of
from unseen.runs.console import fail
from unseen.runs.errors import configuration_sentence, failure_sentence
from unseen.runs.typed_line import key_of, override

JOB = "UNSEEN_JOB"  # set for the jobs of a sweep
CONTINUE = "UNSEEN_CONTINUE"  # set for a sweep's job that goes on from the last checkpoint in its folder
_claimed: set[Path] = set()


class OwnFolder(Callback):
    """Hydra callback that sets the folder of a run or a sweep; ends the command where it may not write there."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a single run, or check the one that was typed."""
        if not is_first_process():  # the first one has done so for all
            return
        folder = _wanted(config, "hydra.run.dir")
        if _is_typed(config, "hydra.run.dir"):
            if sentence := refusal(folder, own_checkpoint=_goes_on_in(folder, config)):
                _end(sentence)
        else:
            _use(config, "hydra.run.dir", _claim(folder))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a sweep, unless one was typed."""
        if OmegaConf.select(config, "plan") and "isolated" not in str(config.hydra.launcher.get("_target_")):
            name = config.hydra.runtime.choices["hydra/launcher"]
            _end(
                f"plan=true takes no hydra/launcher={name}, which would start the jobs; they are the same without it"
            )
        metric = OmegaConf.select(config, "optimized_metric")
        if metric and "n_trials" not in config.hydra.sweeper:
            _end(f"optimized_metric={metric} needs a search that reads it, such as hparams_search=optuna")
        folder = _wanted(config, "hydra.sweep.dir")
        if not _is_typed(config, "hydra.sweep.dir"):
            _use(config, "hydra.sweep.dir", _claim(folder))


def is_claimed(folder: Path) -> bool:
    """Return whether this command made the folder for itself; else it was typed."""
    return folder.resolve() in _claimed


def give_back(folder: Path) -> None:
    """Remove a folder that this command claimed, if nothing but Hydra's own record of the sweep is in it."""
    if not is_claimed(folder):
        return
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {"multirun.yaml"}:
            (folder / "multirun.yaml").unlink(missing_ok=True)
            folder.rmdir()


def refusal(folder: Path, *, own_checkpoint: bool) -> str | None:
    """Return why a run must not write into `folder`, None if it may; `own_checkpoint`: it goes on with that run."""
    state = state_of(folder)
    if state.status == "running":
        return f"another process is running in {folder}; wait for it, or type another hydra.run.dir"
    if state.status == "finished" and not own_checkpoint:
        what = " ".join(str(state.summary.get(key)) for key in ("model", "data") if key in state.summary)
        last = folder / "checkpoints" / "last.ckpt"
        on = f", or continue it with ckpt_path={last}" if last.is_file() else ""
        return (
            f"{folder} holds a finished run ({what}, seed {state.summary.get('seed')}), which would be lost; type "
            f"another hydra.run.dir{on}"
        )
    return None


def own_checkpoint(folder: Path) -> Path | None:
    """Return the last checkpoint in the run's own folder, if this is a sweep's job that goes on from it."""
    return folder / "checkpoints" / "last.ckpt" if os.environ.get(CONTINUE) else None


def _wanted(config: DictConfig, key: str) -> Path:
    try:
        text = str(OmegaConf.select(config, key))
    except OmegaConfBaseException as error:  # Hydra would warn in five lines, and meet it again
        _end(str(configuration_sentence(error)))
    if "${" in text:
        _end(
            f"the folder {text} has ${{ in its name, which the configuration would look up; choose another name"
        )
    if not text or text == "None":
        _end(f"{key} is empty; type a folder, or leave it out")
    return Path(text)


def _is_typed(config: DictConfig, key: str) -> bool:
    return any(key_of(typed) == key for typed in config.hydra.overrides.hydra)


def _goes_on_in(folder: Path, config: DictConfig) -> bool:
    """Return whether a training continues the one in the folder."""
    if os.environ.get(CONTINUE):
        return True
    checkpoint = OmegaConf.select(config, "ckpt_path")
    trains = config.hydra.job.config_name == "train"
    return bool(trains and checkpoint and folder.resolve() in Path(str(checkpoint)).resolve().parents)


def _claim(wanted: Path) -> Path:
    """Make a folder that was not there: `wanted`, or with _2, _3, ... behind its name."""
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}_{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                _claimed.add(folder.resolve())
                return folder
    except OSError as error:
        _end(str(failure_sentence(error)))
    raise AssertionError


def _use(config: DictConfig, key: str, folder: Path) -> None:
    with read_write(config), open_dict(config):
        OmegaConf.update(config, key, str(folder))
        # the configurations of a sweep's jobs are composed from what was typed
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.overrides.hydra.append(override(key, str(folder)))


def _end(sentence: str) -> NoReturn:
    # Hydra turns other errors of a callback into warnings
    fail(sentence)
    raise SystemExit(1)
