"""Run folders to records: finished runs with their files, every other folder as a line with its reason."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.biases.bias_runs import BiasRun, read_bias_run
from unseen.reporting.layers.scored_runs import Run, read_scored_run
from unseen.reporting.run_files import entry_of
from unseen.reporting.texts import one_line, printable, quoted
from unseen.reporting.transfer.transfer_runs import TransferRun, read_transfer_run
from unseen.run_folder import SCHEMA
from unseen.run_state import state_of

_NOT_ENTERED = {"wandb", "checkpoints", "metrics", "tables", "figures", "__pycache__"}
_LARGEST_SUMMARY = 4 * MEBIBYTE  # a run writes a few kB, and a line for each unreadable image
_LONGEST_PATH = 5000
_BIASES, _TRANSFER = "biases", "transfer"  # kinds of runs of biases.py and transfer.py


@dataclass(frozen=True)
class LeftOut:
    """A folder that no number of the report comes from, and why; "" where something is not known."""

    name: str  # the folder as shown to a person
    status: str  # failed, died (its process is gone), unfinished, duplicate, refused (schema) or unreadable
    reason: str  # one sentence
    model: str = ""
    data: str = ""
    size: str = ""
    seed: str = ""


@dataclass(frozen=True)
class Collection:
    """Everything found below some folders: finished runs, each configuration once, and all other folders."""

    runs: tuple[Run, ...]
    left_out: tuple[LeftOut, ...]
    bias_runs: tuple[BiasRun, ...] = ()  # of biases.py
    transfer_runs: tuple[TransferRun, ...] = ()  # of transfer.py


_Any = TypeVar("_Any", Run, BiasRun, TransferRun)


class _LeaveOutError(Exception):
    """This folder cannot be used; the text is the reason."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def collect(roots: Sequence[Path]) -> Collection:
    """Read every run folder below `roots`.

    A folder that cannot be read is listed, never an error. Of several finished runs of one configuration the newest
    is kept, the others are listed as duplicates.
    """
    finished: list[Run] = []
    measured: list[BiasRun] = []
    tuned: list[TransferRun] = []
    left_out: list[LeftOut] = []
    for folder in find_folders(roots):
        content: dict[str, Any] = {}
        name = _shown(folder)
        try:
            content = _read_summary(folder)
            if content.get("kind") == _BIASES:
                measured.append(_read_of(read_bias_run, folder, name, content))
            elif content.get("kind") == _TRANSFER:
                tuned.append(_read_of(read_transfer_run, folder, name, content))
            else:
                finished.append(_read_of(read_scored_run, folder, name, content))
        except _LeaveOutError as error:
            left_out.append(_left_out(name, error.status, str(error), content))
    again = "the same configuration was run again; the newest is used: {}"
    runs, duplicates = newest_of_each(finished, _identity, again)
    runs.sort(key=lambda run: (run.facts.data, run.facts.size, run.facts.model, run.facts.seed, run.name))
    bias_runs, repeated = newest_of_each(measured, _hash_of, again)
    bias_runs.sort(key=lambda run: (run.label, run.name))
    transfer_runs, tuned_again = newest_of_each(tuned, _hash_of, again)
    left_out += duplicates + repeated + tuned_again
    return Collection(tuple(runs), tuple(left_out), tuple(bias_runs), tuple(transfer_runs))


def duplicate(run: Run | BiasRun | TransferRun, reason: str) -> LeftOut:
    """Return a finished run as one that does not count."""
    return _left_out(run.name, "duplicate", reason, run.facts.model_dump())


def _left_out(name: str, status: str, reason: str, content: dict[str, Any]) -> LeftOut:
    about = {key: content.get(key) for key in ("model", "data", "size", "seed")}
    known = {key: printable(value, 60) for key, value in about.items() if value is not None}
    kind = " (evaluation)" if entry_of(content.get("command")) == "eval" else ""
    kind = f" ({content['kind']})" if content.get("kind") in (_BIASES, _TRANSFER) else kind
    return LeftOut(name, status, reason + kind, **known)


def find_folders(roots: Iterable[Path]) -> list[Path]:
    """Return every folder below `roots` that holds summary.json or scores.csv, sorted, each once."""
    return sorted({folder for root in roots for folder in _walk(root.resolve())})


def _walk(root: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(root):
        if not {"summary.json", "scores.csv"}.isdisjoint([*folders, *files]):
            yield Path(place)
            folders.clear()
        folders[:] = [name for name in folders if name not in _NOT_ENTERED and not name.startswith(".")]


def _read_summary(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(folder / "summary.json", _LARGEST_SUMMARY))
    except FileNotFoundError as error:
        raise _LeaveOutError("unfinished", "there are scores but no summary.json") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _LeaveOutError("unreadable", f"summary.json: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise _LeaveOutError("unreadable", "summary.json holds no table of facts")
    return content


def _read_of(
    read: Callable[[Path, str, dict[str, Any]], _Any], folder: Path, name: str, content: dict[str, Any]
) -> _Any:
    _check_finished(folder, content)
    try:
        return read(folder, name, content)
    except ValueError as error:
        raise _LeaveOutError("unreadable", str(error)) from error


def _check_finished(folder: Path, content: dict[str, Any]) -> None:
    status, schema = content.get("status"), content.get("schema")
    known = type(schema) is int and schema == SCHEMA  # a bool is an int, too
    if status == "failed" and (known or schema is None):  # a sweep writes why a job died without a schema
        raise _LeaveOutError("failed", printable(content.get("reason") or "no reason was written"))
    if not known:
        theirs = "has no schema" if schema is None else f"has schema {quoted(schema)}"
        ours = f"this report reads schema {SCHEMA}; run the job again with this version"
        raise _LeaveOutError("refused", f"summary.json {theirs}, {ours}")
    if status == "finished":
        return
    state = state_of(folder)
    if state.status == "died":
        raise _LeaveOutError("died", printable(state.reason))
    when = f", last written {printable(content['written'], 60)}" if content.get("written") else ""
    what = "it is running" if state.status == "running" else "it is neither finished nor failed nor running"
    raise _LeaveOutError("unfinished", f"status is {quoted(status)}: {what}{when}")


def _identity(run: Run) -> tuple[str, ...]:
    facts = run.facts
    # an evaluation has its network's configuration, so the checkpoint is part of its identity
    scored = str(run.config.get("ckpt_path")) if facts.entry == "eval" else ""
    return (facts.entry, facts.config_hash or "", scored if facts.config_hash else run.name)


def _hash_of(run: BiasRun | TransferRun) -> tuple[str, ...]:
    return (run.facts.config_hash or "", "" if run.facts.config_hash else run.name)


def newest_of_each(
    runs: Iterable[_Any], identity: Callable[[_Any], Hashable], reason: str
) -> tuple[list[_Any], list[LeftOut]]:
    """Return the newest run of each identity, and the others with a reason, in which {} is the newest one's name."""
    newest: dict[Hashable, _Any] = {}
    older: list[tuple[_Any, Hashable]] = []
    for run in sorted(runs, key=written):
        key = identity(run)
        if key in newest:
            older.append((newest[key], key))
        newest[key] = run
    return list(newest.values()), [duplicate(run, reason.format(newest[key].name)) for run, key in older]


def written(run: Run | BiasRun | TransferRun) -> tuple[str, str]:
    """Return by what runs are sorted by age."""
    return (run.facts.written or "", run.name)


def _shown(folder: Path) -> str:
    with suppress(ValueError):
        folder = folder.relative_to(Path.cwd())
    return printable(folder, _LONGEST_PATH)
