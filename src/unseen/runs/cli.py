"""The command line: Hydra composes, one sentence says what was wrong, the exit code tells."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import hydra
from dotenv import load_dotenv
from omegaconf import DictConfig, OmegaConf

from unseen.runs.ending import interruption
from unseen.runs.errors import UserError, configuration_sentence
from unseen.runs.isolation import follow_parent, leave_allocation
from unseen.runs.other_launchers import failed_jobs, is_worker, run_job
from unseen.runs.sweep import SweepFailedError
from unseen.threads import settle_threads

PROJECT_ROOT = Path(__file__).resolve().parents[3]
_LONGEST_FOLDER_NAME = 120
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # a full disk does not say which file


def command_line(job: Callable[[DictConfig], None], config_name: str) -> None:
    """Run `job` with the configuration that the command line asks for, then end the process.

    Exit codes: 0 done; 1 a mistake in what was typed, or a failed job; 130 interrupted; 143 terminated.
    """
    follow_parent()
    leave_allocation()
    load_dotenv(PROJECT_ROOT / ".env")
    settle_threads()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us; we say them in a sentence
    # workers of other launchers import us by name, installed or not
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(PROJECT_ROOT / "src"), os.environ.get("PYTHONPATH")))
    )
    register_resolvers()
    codes: list[int] = []

    def guarded(config: DictConfig) -> None:
        if is_worker():
            codes.append(run_job(config, PROJECT_ROOT / "src" / f"{config_name}.py"))
        else:
            codes.append(_guard(lambda: job(config), composing=False))

    main = hydra.main(config_path=str(PROJECT_ROOT / "configs"), config_name=config_name, version_base="1.3")
    codes.append(_guard(main(guarded), composing=True))
    codes += [_failed(sentence) for sentence in failed_jobs()]
    sys.exit(max(abs(code) for code in codes))


def _guard(task: Callable[[], object], *, composing: bool) -> int:
    """Run `task`; return its exit code after telling the user what went wrong."""
    try:
        task()
    except UserError as error:
        return _failed(str(error))
    except SweepFailedError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        reason, code = interruption()
        return _failed(f"{reason}; what was evaluated is on disk", code=code)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except Exception as error:
        sentence = configuration_sentence(error) if composing else None
        if sentence is not None:
            return _failed(sentence)
        if isinstance(error, OSError) and (error.filename or error.errno in _DISK):  # nobody's bug
            return _failed(f"{error.strerror}: {error.filename or 'the folder of the results'}")
        logging.getLogger(__name__).exception("the command failed")
        traceback.print_exc()
        return _failed(f"{type(error).__name__}: {error}")
    return 0


def _failed(sentence: str, code: int = 1) -> int:
    from unseen.runs.console import fail

    fail(sentence)
    return code


def register_resolvers() -> None:
    """Make ${project_root:} and ${job_folder:...} known to OmegaConf."""
    OmegaConf.register_new_resolver("project_root", lambda: str(PROJECT_ROOT), replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)


def job_folder(overrides: str) -> str:
    """Return a folder name for a job of a sweep, made of its overrides.

    >>> job_folder("model=vit,seed=0")
    'model-vit_seed-0'
    """
    name = re.sub(r"[^\w.+-]+", "-", overrides.replace(",", "_").replace("=", "-")).strip("-") or "job"
    if len(name) <= _LONGEST_FOLDER_NAME:
        return name
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]
    return f"{name[:_LONGEST_FOLDER_NAME]}_{digest}"
