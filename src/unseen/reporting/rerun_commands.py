"""The lines that make all runs of a report again, as they are typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.texts import printable
from unseen.reporting.transfer.transfer_runs import TransferRun
from unseen.wording import command_line_of

# words of a command that say where and when a job ran
_NOT_REPEATED = ("-m", "--multirun", "seed=", "hydra.", "ckpt_path=", "resume=", "plan=")
_GRID = ("seed", "technique", "data", "encoder")  # settings of transfer.py whose values may share a line


def run_commands(configurations: Sequence[Configuration]) -> list[str]:
    """Return lines that run all configurations again; networks and seeds with equal settings share one."""
    models: dict[tuple[str, ...], dict[int, set[str]]] = {}  # (script, other words) -> seed -> networks
    for run in (run for config in configurations for run in config.runs if run.facts.command):
        script, *words = [printable(word) for word in run.facts.command or []]
        words = _typed(words)
        networks = ",".join(word.removeprefix("model=") for word in words if word.startswith("model="))
        others = (script, *(word for word in words if not word.startswith("model=")))
        models.setdefault(others, {}).setdefault(run.facts.seed, set()).add(networks)
    lines = []
    for (script, *words), of_seed in models.items():
        grids: dict[tuple[str, ...], list[int]] = {}
        for seed, chosen in sorted(of_seed.items()):
            grids.setdefault(tuple(sorted(chosen)), []).append(seed)
        for of_seeds, seeds in grids.items():
            grid = [f"model={','.join(of_seeds)}"] if of_seeds != ("",) else []
            grid.append(f"seed={','.join(map(str, seeds))}")
            sweep = ["-m"] if any("," in word for word in grid) else []
            lines.append(command_line_of([script, *sweep, *words, *grid]))
    return sorted(lines)


def bias_commands(runs: Sequence[BiasRun]) -> list[str]:
    """Return lines that measure all networks again; networks of the model group with equal settings share one."""
    models: dict[tuple[str, ...], dict[str, None]] = {}
    for run in (run for run in runs if run.facts.command):
        script, *words = [printable(word) for word in run.facts.command or []]
        words = _typed(words, ("seed=", "ckpt_path="))
        named = [word for word in words if word.startswith("model=")]
        others = (script, *(word for word in words if word not in named))
        models.setdefault(others, {}).update(dict.fromkeys(word.removeprefix("model=") for word in named))
    lines = []
    for (script, *words), names in models.items():
        grid = [f"model={','.join(names)}"] if names else []
        lines.append(command_line_of([script, *(["-m"] if len(names) > 1 else []), *words, *grid]))
    return sorted(lines)


def transfer_commands(runs: Sequence[TransferRun]) -> list[str]:
    """Return lines that run transfer.py again; values of one setting share a line where all else is equal."""
    commands: list[dict[str, str]] = []  # the words by what stands before their =
    for run in (run for run in runs if run.facts.command):
        script, *words = [printable(word) for word in run.facts.command or []]
        words = [*_typed(words), f"seed={run.facts.seed}"]
        commands.append({"": script} | {word.partition("=")[0]: word for word in words})
    for name in _GRID:
        commands = _merged(commands, name)
    lines = []
    for command in commands:
        script, *words = command.values()
        sweep = ["-m"] if any("," in command.get(name, "") for name in _GRID) else []
        lines.append(command_line_of([script, *sweep, *words]))
    return sorted(lines)


def _merged(commands: Iterable[dict[str, str]], name: str) -> list[dict[str, str]]:
    """Return commands of which those that differ in one setting alone are one, with all its values."""
    alike: dict[tuple[object, ...], list[dict[str, str]]] = {}
    for command in commands:
        rest = sorted(item for item in command.items() if item[0] != name)
        alike.setdefault((name in command, *rest), []).append(command)
    merged = []
    for same in alike.values():
        values = dict.fromkeys(command.get(name, "").partition("=")[2] for command in same)
        listed = ",".join(sorted(values, key=lambda value: (len(value) if value.isdigit() else 0, value)))
        merged.append(same[0] | ({name: f"{name}={listed}"} if name in same[0] else {}))
    return merged


def _typed(words: list[str], kept: tuple[str, ...] = ()) -> list[str]:
    """Return the words of a command that a person typed, without the seed: a sweep adds some for each job.

    Among them are the copies of the folders of settings, `.configs-…`, that its jobs read.
    """
    typed, rest = [], iter(words)
    for word in rest:
        following = next(rest, "") if word in {"--config-path", "--config-dir"} else None
        if following is None and (word.startswith(kept) or not word.startswith(_NOT_REPEATED)):
            typed.append(word)
        elif following is not None and "/.configs" not in following:
            typed += [word, following]
    return typed
