"""Sentences for what went wrong; errors of the user apart from bugs."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

import yaml
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unseen.runs.quoted_line import quoted_line
from unseen.wording import one_line, suggestion

_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|cannot allocate memory", re.I)
_WORKER = re.compile(r"DataLoader worker \(pid")  # torch's words for one that was killed
_NOT_HERE = (errno.EROFS, errno.EACCES)
# what only the settings of a command have
_BY_KEY = {"measures": "biases", "encoder": "transfer", "trainer": "train"}
_PLUGINS = ("joblib", "optuna")  # extras of ours
_PORT = re.compile(r"EADDRINUSE|address already in use", re.I)


class UserError(Exception):
    """Something the user can correct; printed as one sentence without a stack trace."""

    exit_code = 1


class UsageError(UserError):
    """Flags that do not exist or do not go together."""

    exit_code = 2


@contextmanager
def user_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of the given kinds (default: ValueError and OSError) into `UserError`."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, kinds or (ValueError, OSError)):
            raise
        raise UserError(one_line(error)) from error


def configuration_sentence(error: Exception) -> str | None:
    """Return a sentence for an error of Hydra, OmegaConf or YAML that a setting caused, None for others."""
    if of_resolver := _raised_by_resolver(error):
        return of_resolver
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark, context = error.problem_mark, f"{error.context}, " if error.context else ""
        return f"{mark.name}, line {mark.line + 1}: {context}{error.problem}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        allowed = [option for option in (error.options or []) if not option.startswith("_")]
        if not allowed:
            return one_line(error)
        if group in {"hydra/launcher", "hydra/sweeper"} and name in _PLUGINS:
            return f"{group}={name} is not installed (pip install 'unseen[{name}]'); there are {', '.join(allowed)}"
        return f"{group}={name} is not known{suggestion(name, allowed)}; choose one of {', '.join(allowed)}"
    if isinstance(error, OverrideParseException):
        line = quoted_line(error.override)
        such = f"special characters, such as {line}" if line else "special characters"
        return f"cannot read the setting {error.override!r}: write key=value, and quote values with {such}"
    if isinstance(error, ConfigCompositionException):
        return _override_sentence(error) or one_line(error)
    if isinstance(error, ValueError) and "Config group override must be" in str(error):
        return "a group of settings takes the name of one of its files, such as model=vit (see --help)"
    if "hydra_plugins.hydra_submitit_launcher" in str(error):
        return "hydra/launcher=slurm needs submitit: pip install 'unseen[slurm]'"
    if isinstance(error, RuntimeError) and "srun" in str(error):
        return "hydra/launcher=slurm: there is no srun here; submit from a login node of the cluster"
    if isinstance(error, HydraException) and "INTERVAL_SWEEP" in str(error):
        return "an interval is read by searches only: add hparams_search=optuna, or list the values"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _override_sentence(error) or one_line(error)
    return None


def _raised_by_resolver(error: Exception) -> str | None:
    """Return the sentence of one of our resolvers, from which the error came."""
    within = error.__context__
    while within and not isinstance(within, UserError):
        within = within.__context__
    return str(within) if within else None


def failure_sentence(error: BaseException) -> str | None:
    """Return a sentence for a failure of memory, disk, port, checkpoint or training; None for a bug."""
    text = one_line(error)
    if isinstance(error, UserError):
        return text
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(text)):
        return (
            "out of memory: use a smaller data.batch_size, data.eval_batch_size or data.image_size, fewer images "
            f"(data.train_size, data.test_size, data.unseen_per_class), or a smaller network ({text[:200]})"
        )
    if isinstance(error, RuntimeError) and _WORKER.search(text):
        return (
            "a process that decodes images was killed, probably as it was out of memory: use fewer of them "
            f"(data.workers, 0 for none), or a smaller data.batch_size and data.eval_batch_size ({text[:200]})"
        )
    if _PORT.search(text):
        port = os.environ.get("MASTER_PORT", "not set")
        return (
            f"the port for the processes of this run is in use (MASTER_PORT={port}): unset MASTER_PORT, or set it to a "
            "free one"
        )
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        return f"{error.filename} cannot be a folder: it, or a part of its path, is a file"
    if isinstance(error, OSError) and error.errno in _NOT_HERE and _is_missing(error.filename or "/"):
        return (
            f"{error.filename} cannot be made ({error.strerror}): name a folder for all results with paths.log_dir=, "
            "or UNSEEN_LOG_DIR= before the command"
        )
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, FloatingPointError):
        return text
    if _raised_while_restoring(error):
        return (
            f"the checkpoint cannot be resumed from, because it is damaged or of another run ({text[:200]})"
        )
    return None


def _is_missing(path: str) -> bool:
    """Whether nothing is there, as far as may be looked: a place that may not be looked into is read, not made."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _raised_while_restoring(error: BaseException) -> bool:
    """Whether Lightning raised it while it restored the content of a checkpoint."""
    return any(
        frame.f_code.co_filename.endswith("checkpoint_connector.py")
        and frame.f_code.co_name.startswith(("restore", "resume", "_restore"))
        for frame, _ in walk_tb(error.__traceback__)
    )


def _override_sentence(error: BaseException) -> str | None:
    from unseen.runs.project import CONFIGS
    from unseen.runs.schema import OBJECTS, nearest, never_typed
    from unseen.runs.typed_line import groups_of

    unknown = re.search(r"Could not override '([^']+)'\.\s*No match in the defaults list", str(error))
    unknown = unknown or re.search(r"Could not override '([^']+/[^']+)'", str(error))
    if unknown:
        folders = [str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*/") if any(path.glob("*.yaml"))]
        near = suggestion(unknown[1], folders)
        return f"{unknown[1]} is not a setting or a group of settings{near}; --help lists them"
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OmegaConfBaseException) and cause.full_key):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    full_key, parent = str(cause.full_key), cause.parent_node
    if "not in" not in str(cause):
        return f"{full_key}: {str(cause).splitlines()[0]}"
    allowed, near = [], ""
    if isinstance(parent, DictConfig):
        allowed = [str(name) for name in parent if name != "hydra"]
        whole: Any = OmegaConf.to_container(parent._get_root(), resolve=False)
        entry = next((name for key, name in _BY_KEY.items() if key in whole), None)
        groups = dict.fromkeys(groups_of(entry, CONFIGS) if entry else ())
        typed = re.search(r"Could not override '([^']+)'", str(error))
        near = nearest(
            groups | whole, tuple(full_key.split(".")), tuple(typed[1].split(".")) if typed else ()
        )
    where = full_key.rpartition(".")[0] or "the configuration"
    if refused := never_typed(full_key):
        return refused
    more = f"; another argument is added with a plus: +{full_key}=..." if where in OBJECTS else ""
    return f"{full_key} is not a setting{near}; {where} has {', '.join(allowed)}{more}"
