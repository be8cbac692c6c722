"""The typed line before Hydra reads it: flags anywhere, errors that Hydra has no sentence for, quoting."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override

from unseen.runs.errors import UsageError, UserError
from unseen.runs.global_files import check_global_files
from unseen.wording import suggestion

# groups with nothing chosen by default
_MAY_BE_NONE = {
    "study",
    "study/biases",
    "study/transfer",
    "experiment",
    "transfer_experiment",
    "debug",
    "debug/biases",
    "debug/transfer",
    "debug/report",
    "hparams_search",
}
_EXTEND_TRAIN = ("eval", "biases", "transfer")  # configurations that begin with train's
# commands whose files of a group are in a folder of their own: study=i3 of transfer.py is study/transfer/i3.yaml
_OWN_FILES = {"study": ("biases", "transfer"), "debug": ("biases", "transfer", "report")}
_HAVE_STUDIES = _OWN_FILES["study"]
_NO_SWEEPS = ("own", "published")  # studies of what was measured
_OFF = {"logger": "none", "benchmark": "none"}  # groups that can be switched off, and the file that does so
_HOW = {"callbacks": "; one callback is switched off by its name: callbacks.best_checkpoint=null"}
_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
# An experiment of train.py comes before the settings of transfer.py, and could not change them.
OF_TRANSFER = {"model": "encoder", "tuning": "technique", "experiment": "transfer_experiment"}


def _of_embeddings(text: str) -> list[str]:
    """Return a setting of transfer.py, of a model that is a file of embeddings as its encoder.

    >>> _of_embeddings("model=a.npz,b.npz"), _of_embeddings("model=composed")
    (['encoder=embeddings_file', 'encoder.path=a.npz,b.npz'], ['model=composed'])

    Raises:
        UserError: A sweep over files and encoders.
    """
    key, _, value = text.partition("=")
    if key == "model" and (are_files := [name.strip(" '\"").endswith(_ENDINGS) for name in value.split(",")]):
        if all(are_files):
            return ["encoder=embeddings_file", f"encoder.path={value}"]
        if any(are_files):
            raise UserError(f"{text}: a sweep has encoders or files of embeddings, not both; type two lines")
    return [text]


_ENDINGS = (".npz", ".csv")


def _of_study(text: str) -> list[str]:
    """Return `study=g4` of report.py as the folder of that study's runs, and a folder for its report.

    >>> _of_study("study=g4")
    ['runs=${paths.log_dir}/studies/g4', 'out=${paths.log_dir}/report/g4']
    """
    key, _, name = text.partition("=")
    if key != "study":
        return [text]
    if not re.fullmatch(r"[\w-]+", name):
        raise UserError(f"{text}: write the name of one study, such as study=g4")
    return [f"runs=${{paths.log_dir}}/studies/{name}", f"out=${{paths.log_dir}}/report/{name}"]


_ALIASES = {"transfer": _of_embeddings, "report": _of_study}


def groups_of(entry: str, configs: Path) -> dict[str, str]:
    """Return the groups of a command by the names that are typed: of transfer.py a model is an encoder.

    Args:
        entry: Name of the configuration.
        configs: Folder of the YAML files.
    """
    files = ("train", entry) if entry in _EXTEND_TRAIN else (entry,)
    defaults = [
        item
        for name in files
        for item in yaml.safe_load((configs / f"{name}.yaml").read_text("utf-8"))["defaults"]
    ]
    groups = {key: key for item in defaults if isinstance(item, dict) for key in item if " " not in key}
    if entry == "transfer":
        groups |= OF_TRANSFER
    return groups | {group: f"{group}/{entry}" for group, entries in _OWN_FILES.items() if entry in entries}


def prepare(arguments: Sequence[str], configs: Path, entry: str) -> list[str]:
    """Return the arguments as Hydra can read them: flags first, groups by the names of their files.

    Args:
        arguments: What was typed after the script.
        configs: Folder of the YAML files.
        entry: Name of the configuration: train, eval, biases, transfer, report, dashboard.

    Raises:
        UsageError: A flag that does not exist or does not go with another one.
        UserError: A group with another value than the name of a file, or a sweep over nothing.
    """
    flags, settings = _divided(list(arguments))
    if "--shell-completion" in flags:
        return list(arguments)
    _check_flags(flags)
    several = "--multirun" in flags
    sweeps = entry in {"train", *_EXTEND_TRAIN}
    if several and not sweeps:
        raise UsageError(f"{entry}.py makes one thing at a time; leave -m out")
    own = flags.get("--config-dir")
    if own and not Path(own).is_dir():
        raise UsageError(f"--config-dir={own} is not a folder")
    folders = [configs, Path(own)] if own else [configs]
    groups = groups_of(entry, configs)
    options = {  # files that begin with _ serve the others
        typed: sorted({path.stem for folder in folders for path in (folder / group).glob("[!_]*.yaml")})
        for typed, group in groups.items()
    }
    # a place of one's own may have files that are not seen here: Hydra will know
    elsewhere = {"--config-name", "--config-path"} & flags.keys()
    all_seen = not elsewhere and not any("hydra.searchpath" in text for text in settings)
    prepared = [part for name, value in flags.items() for part in (name, value) if part is not None]
    if entry == "report":  # what is typed beside a study wins
        settings.sort(key=lambda typed: not typed.startswith("study="))
    if entry in _ALIASES:
        settings = [text for typed in settings for text in _ALIASES[entry](typed)]
    runs = not {"--cfg", "--info", "--help", "--hydra-help"} & flags.keys()
    chosen: dict[str, str] = {}
    for text in settings:
        if runs:
            _check_read(text, several=several)
        if "study" in options and text.startswith("study="):
            of_one_job = several or not runs or any(typed.startswith("seed=") for typed in settings)
            _check_study(text, entry, folders, several=several, in_a_run=of_one_job)
        for part in _prepared(text, options, several=several, sweeps=sweeps, all_seen=all_seen):
            key, equals, value = part.partition("=")
            prepared.append(groups.get(key, key) + equals + value)
            chosen[groups.get(key, key)] = value
    check_global_files(chosen, options, folders)
    return prepared


def _check_study(text: str, entry: str, folders: Sequence[Path], *, several: bool, in_a_run: bool) -> None:
    """Refuse the study of another command, and a study that is a sweep without the flag of a sweep.

    A single run of train.py may have a study's settings: `in_a_run`, if it says which of its jobs it is.

    Raises:
        UserError: One sentence with the line to type.
    """
    name = text.partition("=")[2].strip()
    if entry == "eval" or not re.fullmatch(r"[\w-]+", name):
        return
    of = {"train": "study"} | {command: f"study/{command}" for command in _HAVE_STUDIES}
    known = [
        command for command in of if any((one / of[command] / f"{name}.yaml").is_file() for one in folders)
    ]
    if entry in known:
        if name not in _NO_SWEEPS and not (several if entry in _HAVE_STUDIES else in_a_run):
            raise UserError(f"{text} is a sweep: add -m, as in python src/{entry}.py -m {text}")
    elif known:
        lines = [f"python src/{command}.py {'' if name in _NO_SWEEPS else '-m '}{text}" for command in known]
        raise UserError(f"{text} is no study of {entry}.py; type {' or '.join(lines)}")


def _check_read(text: str, *, several: bool) -> None:
    """Refuse what Hydra reads of sweeps only, or of single runs only.

    Raises:
        UserError: One sentence.
    """
    key = text.lstrip("+").partition("=")[0]
    if several and key == "hydra.run.dir":
        raise UserError(f"{text} is read by single runs only: the folder of a sweep is hydra.sweep.dir")
    if not several and re.match(r"hydra[./](sweep|sweeper|launcher)\b", key):
        instead = "type hydra.run.dir for" if key == "hydra.sweep.dir" else "leave it out of"
        raise UserError(f"{text} is read by sweeps only: add -m, or {instead} a single run")


# ------------------------------------------------------------------ flags
def _divided(rest: list[str]) -> tuple[dict[str, str | None], list[str]]:
    """Return flags by their long names, with their values, and settings."""
    known = get_args_parser()._option_string_actions  # Hydra's own table
    flags: dict[str, str | None] = {}
    settings = []
    while rest:
        text = rest.pop(0)
        if not text.startswith("-"):
            settings.append(text)
            continue
        typed, equals, value = text.partition("=")
        begun = [name for name in known if len(typed) > 3 and name.startswith(typed)]
        action = known.get(begun[0] if typed not in known and len(begun) == 1 else typed)
        if action is None:
            setting = f"; settings are written without dashes: {typed.lstrip('-') or 'key'}=value"
            near = "" if equals or not typed.startswith("--") else suggestion(typed, known)
            raise UsageError(f"{typed} is not a flag{near or setting}; python src/train.py --help shows both")
        name, choices = action.option_strings[0], list(action.choices or ())
        one_of = f"; choose one of {', '.join(choices)}" if choices else ""
        if action.nargs == 0:
            if equals:
                raise UsageError(f"{name} takes no value")
            flags[name] = None
        elif equals:
            flags[name] = value
        elif action.nargs == "?" and (not rest or rest[0] not in choices):
            flags[name] = str(action.const)  # or the setting behind it would be taken for its value
        elif not rest or rest[0].startswith("-"):
            raise UsageError(f"{name} needs a value{one_of}")
        else:
            flags[name] = rest.pop(0)
        if choices and flags[name] not in choices:
            raise UsageError(f"{name} {flags[name]} is not known{one_of}")
    return flags, settings


def _check_flags(flags: Mapping[str, str | None]) -> None:
    if "--experimental-rerun" in flags:
        raise UsageError(
            "--experimental-rerun is not supported, because it would run code from a file; "
            "type the settings again (they are in .hydra/overrides.yaml)"
        )
    if "--resolve" in flags and not {"--cfg", "--help"} & flags.keys():
        raise UsageError("--resolve goes with --cfg: python src/train.py --cfg job --resolve")
    if "--package" in flags and "--cfg" not in flags:
        raise UsageError("--package goes with --cfg: python src/train.py --cfg job --package model")
    alternatives = [name for name in ("--run", "--multirun", "--cfg", "--info") if name in flags]
    if len(alternatives) > 1:
        raise UsageError(f"{' and '.join(alternatives)} exclude each other; give one of them")


# ------------------------------------------------------------------ settings
def _prepared(
    text: str, options: Mapping[str, list[str]], *, several: bool, sweeps: bool, all_seen: bool
) -> list[str]:
    """Return a setting as Hydra takes it; nothing where a group's default is no choice."""
    try:
        override = OverridesParser.create().parse_override(text)
    except Exception:  # Hydra's own error is better
        return [text]
    key, value = override.key_or_group, None if override.is_delete() else override.value()
    names = options.get(key) if override.package is None else None
    if not key:
        raise UserError(f"cannot read the setting {text!r}: write key=value")
    if override.is_sweep_override():
        if not several:
            values = text.partition("=")[2]
            otherwise = f"a list is written with brackets, '{key}=[{values}]', and a text with a comma quoted"
            if not sweeps:
                raise UserError(f"{text} holds several values: {otherwise}")
            raise UserError(f"{text} is a sweep over several values: add -m; {otherwise}")
        return [_sweep(text, override, names, all_seen=all_seen)]
    if isinstance(value, str):
        value = value.strip()
    if key in _FOLDERS and not value:
        raise UserError(f"{text}: a run needs a folder; leave {key} out for one of its own under logs/")
    return [text] if names is None else _choice(text, override, value, names, all_seen=all_seen)


def _choice(text: str, override: Override, value: Any, names: list[str], *, all_seen: bool) -> list[str]:
    key, one_of = override.key_or_group, f"choose one of {', '.join(names)}"
    if value == "":
        raise UserError(f"{text}: {key} is empty; {one_of}")
    if value not in names and (not value or value in ("none", "None")):
        if key in _OFF:
            return [f"{key}={_OFF[key]}"]
        if key in _MAY_BE_NONE:
            return []
        raise UserError(f"{text}: {key} cannot be left out; {one_of}{_HOW.get(key, '')}")
    if override.is_add() or override.is_force_add():
        shown = value if isinstance(value, str) else "..."
        raise UserError(f"{text}: there is a {key} already; write {key}={shown} to choose another one")
    if not _are_names(value):
        raise UserError(f"{text}: {key} takes the name of one of its files; {one_of}")
    # Hydra has no sentence for one of several, would take a study of another command, and calls groups by other names
    if all_seen or key == "study" or isinstance(value, list):
        _check_known(key, value, names)
    return [text]


def _check_known(key: str, value: Any, names: list[str]) -> None:
    for one in value if isinstance(value, list) else [value]:
        if one not in names and "/" not in one:
            raise UserError(
                f"{key}={one} is not known{suggestion(one, names)}; choose one of {', '.join(names)}"
            )


def _sweep(text: str, override: Override, names: list[str] | None, *, all_seen: bool) -> str:
    key, value = override.key_or_group, override.value()
    if key == "study":
        raise UserError(f"{text}: type a line for each study; each is a sweep of its own")
    if isinstance(value, Glob):
        if names is None:
            raise UserError(
                f"{text}: glob(...) takes names of a group's files, and {key} is no group; list the values"
            )
        if not (matching := value.filter(names)):
            raise UserError(f"{text} matches none of {', '.join(names)}")
        return f"{key}={','.join(matching)}"
    if override.is_interval_sweep():  # for a search; Hydra refuses it where there is none
        return text
    try:
        items = list(override.sweep_iterator())
    except Exception as error:
        raise UserError(f"cannot read the setting {text!r}: {error}") from error
    if not items:
        raise UserError(f"{text} holds nothing to sweep over")
    if names is not None and not all(map(_are_names, items)):
        raise UserError(f"{text}: a sweep over {key} takes names of its files, of {', '.join(names)}")
    if names is not None and all_seen:
        for item in items:
            _check_known(key, item, names)
    return text


def _are_names(value: Any) -> bool:
    """Whether a value may be names of a group's files: no paths that leave the group, and no endings."""
    return all(
        isinstance(one, str)
        and re.fullmatch(r"[\w./ +-]+", one)
        and ".." not in one.split("/")
        and not one.endswith((".yaml", ".yml"))
        for one in (value if isinstance(value, list) else [value])
    )


def key_of(typed: str) -> str:
    """Return the setting that an override is about, without the signs before it.

    >>> key_of("++model.optimizer.lr=0.1"), key_of("~logger"), key_of("model@other=vit")
    ('model.optimizer.lr', 'logger', 'model')
    """
    return str(OverridesParser.create().parse_override(typed).key_or_group)


def override(key: str, value: str) -> str:
    r"""Return `key=value` for any text, whatever quotes, commas or braces it holds.

    >>> override("ckpt_path", "it's/last.ckpt")
    "ckpt_path='it\\'s/last.ckpt'"
    """
    # inside Hydra's quotes a backslash means itself, except before a quote
    text = re.sub(r"(\\*)'", lambda found: 2 * found[1] + r"\'", taken_literally(value))
    text = re.sub(r"(\\+)\Z", lambda found: 2 * found[1], text)
    return f"{key}='{text}'"


def taken_literally(value: Any) -> Any:
    r"""Return a resolved value, its texts, lists and dictionaries, so that OmegaConf looks nothing up in it again.

    >>> taken_literally({"root": "a/${b}", "unseen": ["c", 1]})
    {'root': 'a/\\${b}', 'unseen': ['c', 1]}
    """
    if isinstance(value, dict):
        return {key: taken_literally(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [taken_literally(inner) for inner in value]
    if not isinstance(value, str):
        return value
    # backslashes before ${ escape each other
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
