"""The typed line before Hydra reads it: flags among settings, and what Hydra answers with a stack trace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, RangeSweep

from unseen.runs.errors import UsageError, UserError
from unseen.wording import suggestion

_SHORT = {
    "-h": "--help", "-c": "--cfg", "-p": "--package", "-r": "--run", "-m": "--multirun", "-sc": "--shell-completion",
    "-cp": "--config-path", "-cn": "--config-name", "-cd": "--config-dir", "-i": "--info",
}  # fmt: skip
_WITHOUT_VALUE = (
    "--help",
    "--hydra-help",
    "--version",
    "--resolve",
    "--run",
    "--multirun",
    "--shell-completion",
)
_WITH_VALUE = ("--cfg", "--package", "--config-path", "--config-name", "--config-dir", "--experimental-rerun")
_CHOICES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
_ALTERNATIVES = ("--run", "--multirun", "--cfg", "--info")
_MAY_BE_NONE = {"experiment", "debug"}  # groups with nothing chosen by default
_OFF = {"logger": "none"}  # groups that can be switched off, and the file that does so
_HOW = {"callbacks": "; one callback is switched off by its name: callbacks.best_checkpoint=null"}
_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")


def prepare(arguments: Sequence[str], configs: Path, entry: str) -> list[str]:
    """Return the arguments as Hydra can read them: flags first, groups by the names of their files.

    Args:
        arguments: What was typed after the script.
        configs: Folder of the YAML files.
        entry: Name of the configuration: train, eval, report, dashboard.

    Raises:
        UsageError: A flag that does not exist or does not go with another one.
        UserError: A group with another value than the name of a file, or a sweep over nothing.
    """
    flags, settings = _divided(list(arguments))
    names = [name for name, _ in flags]
    if "--shell-completion" in names:
        return list(arguments)
    _check_flags(names)
    several = "--multirun" in names
    if several and entry not in {"train", "eval"}:
        raise UsageError(f"{entry}.py makes one thing at a time; leave -m out")
    own = next((Path(value) for name, value in flags if name == "--config-dir" and value), None)
    groups = _Groups(configs, own, entry)
    prepared = [kept for text in settings for kept in _prepared(text, groups, several=several)]
    return [
        part for name, value in flags for part in ((name,) if value is None else (name, value))
    ] + prepared


def _divided(rest: list[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Return flags with their values, and settings."""
    flags: list[tuple[str, str | None]] = []
    settings = []
    known = (*_WITHOUT_VALUE, *_WITH_VALUE, "--info")
    while rest:
        text = rest.pop(0)
        if not text.startswith("-"):
            settings.append(text)
            continue
        typed, equals, value = text.partition("=")
        begun = [
            name for name in known if typed.startswith("--") and len(typed) > 3 and name.startswith(typed)
        ]
        name = _SHORT.get(typed, begun[0] if len(begun) == 1 else typed)
        if name not in known:
            raise UsageError(
                f"{typed} is not a flag{_meant(typed, equals, known)}; python src/train.py --help shows both"
            )
        if name in _WITHOUT_VALUE:
            if equals:
                raise UsageError(f"{name} takes no value")
            flags.append((name, None))
        elif equals:
            flags.append((name, value))
        elif name == "--info" and (not rest or rest[0] not in _CHOICES["--info"]):
            flags.append((name, "all"))  # or the setting behind it would be taken for its value
        elif not rest or rest[0].startswith("-"):
            raise UsageError(f"{name} needs a value{_one_of(name)}")
        else:
            flags.append((name, rest.pop(0)))
        if name in _CHOICES and flags[-1][1] not in (None, *_CHOICES[name]):
            raise UsageError(f"{name} {flags[-1][1]} is not known{_one_of(name)}")
    return flags, settings


def _meant(typed: str, equals: str, known: Sequence[str]) -> str:
    if equals or not typed.startswith("--"):
        return f"; settings are written without dashes: {typed.lstrip('-') or 'key'}=value"
    return (
        suggestion(typed, list(known)) or f"; settings are written without dashes: {typed.lstrip('-')}=value"
    )


def _one_of(name: str) -> str:
    return f"; choose one of {', '.join(_CHOICES[name])}" if name in _CHOICES else ""


def _check_flags(names: Sequence[str]) -> None:
    if "--experimental-rerun" in names:
        raise UsageError(
            "--experimental-rerun is not supported, because it would run code from a file; "
            "type the settings again (they are in .hydra/overrides.yaml)"
        )
    if "--resolve" in names and not {"--cfg", "--help"} & set(names):
        raise UsageError("--resolve goes with --cfg: python src/train.py --cfg job --resolve")
    if "--package" in names and "--cfg" not in names:
        raise UsageError("--package goes with --cfg: python src/train.py --cfg job --package model")
    alternatives = [name for name in _ALTERNATIVES if name in names]
    if len(alternatives) > 1:
        raise UsageError(f"{' and '.join(alternatives)} exclude each other; give one of them")


class _Groups:
    """The groups of an entry and the names of their files.

    Args:
        configs: Folder of the YAML files.
        own: A second one of the user's.
        entry: Its defaults say which groups must be chosen.
    """

    def __init__(self, configs: Path, own: Path | None, entry: str) -> None:
        self._folders = [folder for folder in (configs, own) if folder is not None]
        base = "train" if entry == "eval" else entry
        content = yaml.safe_load((configs / f"{base}.yaml").read_text(encoding="utf-8"))
        chosen = [key for item in content["defaults"] if isinstance(item, dict) for key in item]
        self.names = {key for key in chosen if " " not in key}

    def options(self, group: str) -> list[str]:
        """Return the names that can be chosen; those that begin with _ serve the others."""
        found = {path.stem for folder in self._folders for path in (folder / group).glob("*.yaml")}
        return sorted(name for name in found if not name.startswith("_"))


def _prepared(text: str, groups: _Groups, *, several: bool) -> Iterator[str]:
    try:
        override = OverridesParser.create().parse_override(text)
    except Exception:  # Hydra will say what is wrong with it
        yield text
        return
    key = override.key_or_group
    if not key:
        raise UserError(f"cannot read the setting {text!r}: write key=value")
    if override.is_sweep_override():
        if not several:
            raise UserError(f"{text} is a sweep over several values: add -m, or quote the value")
        yield _sweep(text, override, groups)
    elif key in _FOLDERS and (override.is_delete() or not _plain(override)):
        raise UserError(f"{text}: a run needs a folder; leave {key} out for one of its own under logs/")
    elif key in groups.names and override.package is None:
        yield from _choice(text, override, groups)
    else:
        yield text


def _choice(text: str, override: Override, groups: _Groups) -> Iterator[str]:
    """Return how a group is chosen, and nothing where the default is no choice."""
    key, value = override.key_or_group, None if override.is_delete() else _plain(override)
    options = ", ".join(groups.options(key))
    if value == "":
        raise UserError(f"{text}: {key} is empty; choose one of {options}")
    if not value or value in ("none", "None"):
        if key in _OFF:
            yield f"{key}={_OFF[key]}"
        elif key not in _MAY_BE_NONE:
            raise UserError(f"{text}: {key} cannot be left out; choose one of {options}{_HOW.get(key, '')}")
    elif override.is_add() or override.is_force_add():
        raise UserError(
            f"{text}: there is a {key} already; write {key}={_shown(value)} to choose another one"
        )
    elif not _names(value):
        raise UserError(f"{text}: {key} takes the name of one of its files; choose one of {options}")
    else:
        yield text


def _sweep(text: str, override: Override, groups: _Groups) -> str:
    key = override.key_or_group
    value: Any = override.value()
    is_group = key in groups.names and override.package is None
    if isinstance(value, Glob):
        if not is_group:
            raise UserError(
                f"{text}: glob(...) takes names of a group's files, and {key} is no group; list the values"
            )
        names = value.filter(groups.options(key))
        if not names:
            raise UserError(f"{text} matches none of {', '.join(groups.options(key))}")
        return f"{key}={','.join(names)}"
    if isinstance(value, ChoiceSweep | RangeSweep):
        try:
            items = (
                list(override.sweep_iterator()) if not isinstance(value, RangeSweep) else list(value.range())
            )
        except Exception as error:
            raise UserError(f"cannot read the setting {text!r}: {error}") from error
        if not items:
            raise UserError(f"{text} holds nothing to sweep over")
        if is_group and (isinstance(value, RangeSweep) or not all(_names(item) for item in items)):
            raise UserError(
                f"{text}: a sweep over {key} takes names of its files, of {', '.join(groups.options(key))}"
            )
    return text


def _plain(override: Override) -> Any:
    """Return the value without Hydra's quotes; a text of spaces is empty."""
    value = override.value()
    return value.strip() if isinstance(value, str) else value


def _names(value: Any) -> bool:
    """Return whether a value may be names of a group's files: no paths that leave the group, and no endings."""
    several = value if isinstance(value, list) else [value]
    return all(
        isinstance(one, str)
        and re.fullmatch(r"[\w./ +-]+", one)
        and ".." not in one.split("/")
        and not one.endswith((".yaml", ".yml"))
        for one in several
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "..."
