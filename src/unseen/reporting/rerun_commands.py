"""The lines that make all runs of a report again, as they are typed; where all else is equal, values share one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.by_key import by_key
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.texts import printable
from unseen.reporting.transfer.transfer_runs import TransferRun
from unseen.wording import command_line_of

# words of a command that say where and when a job ran
_NOT_REPEATED = ("-m", "--multirun", "seed=", "hydra.", "ckpt_path=", "resume=", "plan=")


def run_commands(configurations: Sequence[Configuration]) -> list[str]:
    """Return lines that run all configurations again; networks and seeds with equal settings share one."""
    return _lines((run for config in configurations for run in config.runs), ("model", "seed"))


def bias_commands(runs: Sequence[BiasRun]) -> list[str]:
    """Return lines that measure all networks again; networks of the model group with equal settings share one."""
    return _lines(runs, ("model",), kept=("seed=", "ckpt_path="))


def transfer_commands(runs: Sequence[TransferRun]) -> list[str]:
    """Return lines that run transfer.py again."""
    return _lines(runs, ("seed", "technique", "data", "encoder"))


def _lines(
    runs: Iterable[Run | BiasRun | TransferRun], grid: Sequence[str], kept: tuple[str, ...] = ()
) -> list[str]:
    """Return the lines of some runs.

    Args:
        runs: Those whose command is not known have none.
        grid: Settings whose values may share a line, in the order in which that is tried.
        kept: Beginnings of words that are repeated here, though not elsewhere.
    """
    commands: list[dict[str, str]] = []  # the words by what stands before their =
    for run in (run for run in runs if run.facts.command):
        script, *words = [printable(word) for word in run.facts.command or []]
        words = sorted(_typed(words, kept), key=lambda word: word.startswith("model="))
        words += [f"seed={run.facts.seed}"] if "seed" in grid else []
        commands.append({word.partition("=")[0]: word for word in (script, *words)})
    for name in grid:
        commands = _merged(commands, name)
    lines = []
    for command in commands:
        script, *words = command.values()
        sweep = ["-m"] if any("," in command.get(name, "") for name in grid) else []
        lines.append(command_line_of([script, *sweep, *words]))
    return sorted(lines)


def _merged(commands: Iterable[dict[str, str]], name: str) -> list[dict[str, str]]:
    """Return commands of which those that differ in one setting alone are one, with all its values."""
    alike = by_key(
        commands,
        lambda command: (name in command, *sorted(item for item in command.items() if item[0] != name)),
    )
    merged = []
    for same in alike.values():
        values = dict.fromkeys(command.get(name, "").partition("=")[2] for command in same)
        listed = ",".join(sorted(values, key=lambda value: (len(value) if value.isdigit() else 0, value)))
        merged.append(same[0] | ({name: f"{name}={listed}"} if name in same[0] else {}))
    return merged


def _typed(words: list[str], kept: tuple[str, ...]) -> list[str]:
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
