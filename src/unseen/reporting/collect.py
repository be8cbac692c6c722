"""Run folders to records: finished runs as arrays, everything else as a line with its reason."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from unseen.reporting.records import Collection, LeftOut, Run, RunScores, entry_of
from unseen.run_folder import SCHEMA
from unseen.scores import ACCURACY, HEAD_LAYER, INPUT_LAYER, Score, ScoreTable

KNOWN_SCHEMAS = (SCHEMA,)
_NOT_ENTERED = {"wandb", "checkpoints", "metrics", "tables", "figures", "__pycache__"}
_YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast


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
        if "summary.json" in files or "scores.csv" in files:
            yield Path(place)
            folders.clear()
        folders[:] = [name for name in folders if name not in _NOT_ENTERED and not name.startswith(".")]


def _read_summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _LeaveOutError("unfinished", "there are scores but no summary.json") from error
    except (OSError, ValueError) as error:
        raise _LeaveOutError("unreadable", f"summary.json: {_one_line(error)}") from error
    if not isinstance(facts, dict):
        raise _LeaveOutError("unreadable", "summary.json holds no table of facts")
    return facts


def _read_run(folder: Path, name: str, facts: dict[str, Any]) -> Run:
    status, schema = facts.get("status"), facts.get("schema")
    if status == "failed" and schema in (
        None,
        *KNOWN_SCHEMAS,
    ):  # a sweep writes why a job died without a schema
        raise _LeaveOutError("failed", str(facts.get("reason") or "no reason was written"))
    if schema not in KNOWN_SCHEMAS:
        known = ", ".join(str(version) for version in KNOWN_SCHEMAS)
        said = "does not say its schema" if schema is None else f"has schema {schema}"
        raise _LeaveOutError(
            "refused",
            f"summary.json {said}, this report reads schema {known}; run the job again with this version",
        )
    if status != "finished":
        when = f", last written {facts['written']}" if facts.get("written") else ""
        raise _LeaveOutError("unfinished", f"status is {status!r}: it is running or was killed{when}")
    missing = [key for key in ("model", "data", "size", "seed") if facts.get(key) is None]
    if missing or isinstance(facts["seed"], bool) or not isinstance(facts["seed"], int):
        what = ", ".join(missing) or f"a whole seed (seed is {facts['seed']!r})"
        raise _LeaveOutError("unreadable", f"summary.json lacks {what}")
    try:
        scores = arrays_of(ScoreTable.read(folder / "scores.csv"), facts.get("seen_accuracy"))
    except FileNotFoundError as error:
        raise _LeaveOutError("unreadable", "scores.csv is missing") from error
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise _LeaveOutError("unreadable", f"scores.csv: {_one_line(error)}") from error
    last, steps = int(scores.steps[-1]), facts.get("steps")
    if steps is not None and steps != last:
        raise _LeaveOutError("unreadable", f"scores.csv ends at step {last}, the run at {steps}: it is cut")
    return Run(folder, name, facts, _read_config(folder), scores)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = yaml.load((folder / "config.yaml").read_text(encoding="utf-8"), Loader=_YAML_LOADER)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _LeaveOutError("unreadable", f"config.yaml: {_one_line(error)}") from error
    if not isinstance(config, dict):
        raise _LeaveOutError("unreadable", "config.yaml holds no settings")
    return config


def arrays_of(table: ScoreTable, seen_accuracy: Any = None) -> RunScores:
    """Return the rows of a run as arrays.

    Args:
        table: Its rows; those of layer -1 are raw pixels, those of layer -2 the head.
        seen_accuracy: Of the last step, used where the rows do not have it (folders of before there were such rows).

    Raises:
        ValueError: There are no rows of layers, or a layer number is missing.
    """
    places: dict[int, Score] = {row.layer: row for row in table if row.layer > INPUT_LAYER}
    if not places or sorted(places) != list(range(len(places))):
        raise ValueError(f"expected layers 0, 1, ..., found {sorted(places)}")
    steps = sorted({row.step for row in table if row.layer > INPUT_LAYER})
    at_step = {step: place for place, step in enumerate(steps)}
    layers: dict[tuple[str, str], Any] = {}
    pixels: dict[tuple[str, str], Any] = {}
    accuracy = np.full(len(steps), np.nan)
    for row in table:
        place = at_step.get(row.step)
        if place is None:
            continue
        key = (row.split, row.probe)
        if row.layer > INPUT_LAYER:
            if key not in layers:
                layers[key] = np.full((len(steps), len(places)), np.nan)
            layers[key][place, row.layer] = row.value
        elif row.layer == INPUT_LAYER:
            if key not in pixels:
                pixels[key] = np.full(len(steps), np.nan)
            pixels[key][place] = row.value
        elif row.layer == HEAD_LAYER and key == ("seen", ACCURACY):
            accuracy[place] = row.value
    if ("unseen", "nmi") not in layers:
        raise ValueError("no NMI of the unseen classes in any row")
    scored = sum(row.layer > INPUT_LAYER for row in table if (row.split, row.probe) == ("unseen", "nmi"))
    if scored != len(steps) * len(places):
        raise ValueError(f"{scored} rows with the NMI of {len(places)} layers at {len(steps)} steps")
    if isinstance(seen_accuracy, int | float) and np.isnan(accuracy[-1]):
        accuracy[-1] = seen_accuracy
    depths = [_depth(places[layer], len(places)) for layer in range(len(places))]
    names = tuple(places[layer].layer_name for layer in range(len(places)))
    return RunScores(np.array(steps, dtype=np.int64), names, np.array(depths), layers, pixels, accuracy)


def _depth(row: Score, num_layers: int) -> float:
    return row.depth if row.depth is not None else row.layer / max(num_layers - 1, 1)


def _newest_of_each(runs: Sequence[Run]) -> tuple[list[Run], list[LeftOut]]:
    by_identity: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        by_identity.setdefault(_identity(run), []).append(run)
    kept, duplicates = [], []
    for same in by_identity.values():
        *older, newest = sorted(same, key=lambda run: (str(run.facts.get("written") or ""), run.name))
        kept.append(newest)
        reason = f"the same configuration was run again; the newest is used: {newest.name}"
        duplicates += [_left_out(run.name, "duplicate", reason, run.facts) for run in older]
    return kept, duplicates


def _identity(run: Run) -> tuple[str, ...]:
    digest = run.facts.get("config_hash")
    # an evaluation has its network's configuration, so the checkpoint belongs to what it is
    scored = str(run.config.get("ckpt_path")) if run.entry == "eval" else ""
    return (run.entry, str(digest), scored) if digest else (run.entry, "", run.name)


def _left_out(name: str, status: str, reason: str, facts: dict[str, Any]) -> LeftOut:
    known = {key: str(facts[key]) for key in ("model", "data", "size", "seed") if facts.get(key) is not None}
    kind = "" if entry_of(facts) == "train" else " (evaluation)"
    return LeftOut(name, status, reason + kind, **known)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + " …"


def _shown(folder: Path) -> str:
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
