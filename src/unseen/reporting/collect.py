"""Run folders to records: finished runs as arrays, everything else as a line with its reason."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.facts import Facts, entry_of, read_facts
from unseen.reporting.records import Collection, LeftOut, Run, RunScores
from unseen.reporting.run_config import read_config
from unseen.reporting.score_arrays import arrays_of, check_rows
from unseen.reporting.texts import printable, quoted
from unseen.run_folder import SCHEMA
from unseen.run_state import state_of
from unseen.scores import LARGEST_FILE, ScoreTable

KNOWN_SCHEMAS = (SCHEMA,)
_NOT_ENTERED = {"wandb", "checkpoints", "metrics", "tables", "figures", "__pycache__"}
_LARGEST_SUMMARY = 4 * MEBIBYTE  # a run writes a few kB, and a line for each unreadable image
_SAME = 1e-9
_LONGEST_PATH = 5000


class _LeaveOutError(Exception):
    """This folder cannot be used; the text says why."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def collect(roots: Sequence[Path]) -> Collection:
    """Read every run folder below `roots`.

    A folder that fails to be read is listed, never an error. Of several finished runs of one configuration the
    newest is kept, the others are listed as duplicates.
    """
    found: list[Run] = []
    left_out: list[LeftOut] = []
    for folder in find_folders(roots):
        facts: dict[str, Any] = {}
        name = _shown(folder)
        try:
            facts.update(_read_summary(folder))
            found.append(_read_run(folder, name, facts))
        except _LeaveOutError as error:
            left_out.append(_left_out(name, error.status, str(error), facts))
    runs, duplicates = _newest_of_each(found)
    runs.sort(key=lambda run: (run.data, run.size, run.model, run.seed, run.name))
    return Collection(tuple(runs), tuple(left_out + duplicates))


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
        raise _LeaveOutError("unreadable", f"summary.json: {_one_line(error)}") from error
    if not isinstance(content, dict):
        raise _LeaveOutError("unreadable", "summary.json holds no table of facts")
    return content


def _read_run(folder: Path, name: str, said: dict[str, Any]) -> Run:
    _check_finished(folder, said)
    try:
        facts = read_facts(said)
    except ValueError as error:
        raise _LeaveOutError("unreadable", f"summary.json: {_one_line(error)}") from error
    try:
        table = ScoreTable.parse(read_text(folder / "scores.csv", LARGEST_FILE))
        check_rows(table)
        scores = arrays_of(table, facts.seen_accuracy)
        _check_agree(facts, table, scores)
    except FileNotFoundError as error:
        raise _LeaveOutError("unreadable", "scores.csv is missing") from error
    except (OSError, ValueError) as error:
        raise _LeaveOutError("unreadable", f"scores.csv: {_one_line(error)}") from error
    try:
        config = read_config(folder / "config.yaml")
    except FileNotFoundError:
        config = {}
    except (OSError, ValueError) as error:
        raise _LeaveOutError("unreadable", f"config.yaml: {_one_line(error)}") from error
    return Run(folder, name, facts, config, scores)


def _check_finished(folder: Path, said: dict[str, Any]) -> None:
    status, schema = said.get("status"), said.get("schema")
    known = isinstance(schema, int) and not isinstance(schema, bool) and schema in KNOWN_SCHEMAS
    if status == "failed" and (known or schema is None):  # a sweep writes why a job died without a schema
        raise _LeaveOutError("failed", printable(said.get("reason") or "no reason was written"))
    if not known:
        ours = ", ".join(str(version) for version in KNOWN_SCHEMAS)
        theirs = "does not say its schema" if schema is None else f"has schema {quoted(schema)}"
        raise _LeaveOutError(
            "refused",
            f"summary.json {theirs}, this report reads schema {ours}; run the job again with this version",
        )
    if status == "finished":
        return
    state = state_of(folder)
    if state.status == "died":
        raise _LeaveOutError("died", printable(state.reason))
    when = f", last written {printable(said['written'], 60)}" if said.get("written") else ""
    what = "it is running" if state.status == "running" else "it is neither finished nor failed nor running"
    raise _LeaveOutError("unfinished", f"status is {quoted(status)}: {what}{when}")


def _check_agree(facts: Facts, table: ScoreTable, scores: RunScores) -> None:
    """Refuse a folder whose two files are of different evaluations: one of them is cut or was changed.

    Raises:
        ValueError: What they disagree in.
    """
    last = int(scores.steps[-1])
    if facts.steps is not None and facts.steps != last:
        raise ValueError(f"it ends at step {last}, the run at {facts.steps}: it is cut")
    if facts.best_layer is not None and facts.best_layer >= len(scores.layer_names):
        raise ValueError(
            f"it has {len(scores.layer_names)} layers, the best one in summary.json is {facts.best_layer}"
        )
    if facts.g is not None:
        found = table.generalization(last)
        if found is None or abs(found.g - facts.g) > _SAME:
            raise ValueError(f"g is {found.g if found else None} by its rows and {facts.g} by summary.json")


def _newest_of_each(runs: Sequence[Run]) -> tuple[list[Run], list[LeftOut]]:
    by_identity: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        by_identity.setdefault(_identity(run), []).append(run)
    kept, duplicates = [], []
    for same in by_identity.values():
        *older, newest = sorted(same, key=lambda run: (run.facts.written or "", run.name))
        kept.append(newest)
        reason = f"the same configuration was run again; the newest is used: {newest.name}"
        duplicates += [_left_out(run.name, "duplicate", reason, run.facts.model_dump()) for run in older]
    return kept, duplicates


def _identity(run: Run) -> tuple[str, ...]:
    digest = run.facts.config_hash
    # an evaluation has its network's configuration, so the checkpoint belongs to what it is
    scored = str(run.config.get("ckpt_path")) if run.entry == "eval" else ""
    return (run.entry, digest, scored) if digest else (run.entry, "", run.name)


def _left_out(name: str, status: str, reason: str, said: dict[str, Any]) -> LeftOut:
    known = {
        key: printable(said[key], 60)
        for key in ("model", "data", "size", "seed")
        if said.get(key) is not None
    }
    kind = "" if entry_of(said.get("command")) == "train" else " (evaluation)"
    return LeftOut(name, status, reason + kind, **known)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # the folder is named beside it
    return printable(" ".join(str(error).split()) or type(error).__name__, 200)


def _shown(folder: Path) -> str:
    with suppress(ValueError):
        folder = folder.relative_to(Path.cwd())
    return printable(folder, _LONGEST_PATH)
