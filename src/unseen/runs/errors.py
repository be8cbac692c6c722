"""Sentences for what went wrong, and the difference between a user's slip and a bug."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException


class UserError(Exception):
    """Something the user can mend; shown as one sentence without a stack trace."""


@contextmanager
def user_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of the given kinds (default: ValueError and OSError) into `UserError`."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, kinds or (ValueError, OSError)):
            raise
        raise UserError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """Return the error's text on one line, its class name where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def close_match(value: str, allowed: list[str]) -> str:
    """Return ' (did you mean X?)' where X is the nearest allowed name, else ''.

    >>> close_match("vti", ["vit", "swin"])
    ' (did you mean vit?)'
    """
    near = difflib.get_close_matches(value, allowed, n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""


def configuration_sentence(error: Exception) -> str | None:
    """Return a sentence for an error of Hydra or OmegaConf that a typed setting caused, None for others."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        allowed = [option for option in (error.options or []) if not option.startswith("_")]
        if not allowed:
            return one_line(error)
        if group == "hydra/launcher":
            return f"{group}={name} is not installed (pip install 'unseen[{name}]'); there are {', '.join(allowed)}"
        return f"{group}={name} is not known{close_match(name, allowed)}; choose one of {', '.join(allowed)}"
    if isinstance(error, OverrideParseException):
        return f"cannot read the setting {error.override!r}: write key=value, and quote values with special characters"
    if isinstance(error, ConfigCompositionException):
        return _override_sentence(error) or one_line(error)
    if "hydra_plugins.hydra_submitit_launcher" in str(error):
        return "hydra/launcher=slurm needs submitit: pip install 'unseen[slurm]'"
    if isinstance(error, RuntimeError) and "srun" in str(error):
        return "hydra/launcher=slurm: there is no srun here; submit from a login node of the cluster"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _override_sentence(error) or one_line(error)
    return None


def _override_sentence(error: BaseException) -> str | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OmegaConfBaseException) and getattr(cause, "full_key", None):
            break
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    unknown_group = re.search(r"Could not override '([^']+)'\.\s*No match in the defaults list", text)
    if unknown_group:
        return f"{unknown_group[1]} is not a setting or a group of settings (see python src/train.py --help)"
    if cause is None:
        return None
    full_key, parent = str(cause.full_key), getattr(cause, "parent_node", None)
    if "is not in struct" in str(cause) or "not in" in str(cause):
        key = full_key.rsplit(".", 1)[-1]
        allowed = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
        where = full_key.rpartition(".")[0] or "the configuration"
        return f"{full_key} is not a setting{close_match(key, allowed)}; {where} has {', '.join(allowed)}"
    return f"{full_key}: {str(cause).splitlines()[0]}"
