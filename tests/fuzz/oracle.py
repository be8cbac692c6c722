"""What is wrong with the end of a command line, in sentences; an empty list is what a user wants."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.fuzz.line import HERE, Line

EXIT_CODES = (0, 1, 2, 130)
_MISSING = object()


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; None: it was killed because it did not end.
        out: Standard output.
        err: Standard error.
        roots: Folders that may hold run folders.
        littered: Names of what it left in its current folder.
    """

    code: int | None
    out: str
    err: str
    roots: Sequence[Path]
    littered: Sequence[str] = ()

    def summaries(self) -> dict[Path, dict[str, Any]]:
        """summary.json of every run folder, by folder."""
        found = {}
        for root in self.roots:
            for path in root.rglob("summary.json"):
                found[path.parent] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def sentences(self) -> list[str]:
        """What was said about the error."""
        return [line for line in self.err.splitlines() if line.startswith("error: ") or ": error: " in line]


def judge(line: Line, ended: Ended, here: Path) -> list[str]:
    """What a user would complain of; `here` is the line's own folder."""
    if ended.code is None:
        return ["it did not end"]
    wrong = _never_right(ended)
    fate = line.fate
    if fate == "either":
        fate = "accepted" if ended.code == 0 else "refused"
        # a good answer of either kind; what the results must be is known only where the line says so
    return wrong + (_accepted(line, ended, here) if fate == "accepted" else _refused(line, ended))


def _never_right(ended: Ended) -> list[str]:
    wrong = []
    if ended.code not in EXIT_CODES:
        wrong.append(f"exit code {ended.code}")
    logs = [path for root in ended.roots for path in root.rglob("console.log")]
    texts = [("its output", ended.out + ended.err)]
    texts += [(path.name, path.read_text(encoding="utf-8", errors="replace")) for path in logs]
    wrong += [f"a traceback in {place}" for place, text in texts if "Traceback" in text]
    for folder, summary in ended.summaries().items():
        if summary.get("status") == "running":
            wrong.append(f"{folder.name} claims to run")
        if summary.get("status") == "failed" and not summary.get("reason"):
            wrong.append(f"{folder.name} failed without a reason")
    wrong += [f"it left {name} where it was called" for name in ended.littered]
    return wrong


def _refused(line: Line, ended: Ended) -> list[str]:
    wrong = []
    if ended.code not in (1, 2):
        wrong.append(f"accepted (exit code {ended.code}), and should be refused")
    sentences = ended.sentences()
    if len(sentences) != 1:
        wrong.append(f"{len(sentences)} sentences that begin with 'error: '")
    said = " ".join(sentences)  # of a sweep, too: a bad value is known before the first job
    telling = [name for name in line.names if len(name) > 2 or name.isalpha()]  # a 1 says nothing
    if telling and not any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said) for name in telling):
        wrong.append(f"no word of {' or '.join(name[:60] for name in telling)}")
    done = [folder.name for folder, each in ended.summaries().items() if each.get("status") == "finished"]
    if done:
        wrong.append(f"finished all the same: {', '.join(done)}")
    return wrong


def _accepted(line: Line, ended: Ended, here: Path) -> list[str]:
    wrong = []
    if ended.code != 0:
        return [f"refused (exit code {ended.code}), and should be accepted"]
    if ended.sentences():
        wrong.append("exit code 0, and an error")
    made = [path.replace(HERE, str(here)) for path in line.makes]
    wrong += [f"{path} was not made" for path in made if not Path(path).exists()]
    if line.jobs is None:
        return wrong
    summaries = ended.summaries()
    if len(summaries) != line.jobs:
        wrong.append(f"{len(summaries)} run folders instead of {line.jobs}")
    wrong += [
        f"{folder.name} is {each.get('status')}"
        for folder, each in summaries.items()
        if each["status"] != "finished"
    ]
    if wrong:
        return wrong
    configs = [yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) for folder in summaries]
    for config in configs:
        wrong += _differing(line.settings, config)
    left = list(configs)
    for settings in line.varied:
        match = next((config for config in left if not _differing(settings, config)), None)
        if match is None:
            wrong.append(f"no job has {dict(settings)}")
        else:
            left.remove(match)
    for folder, summary in summaries.items():
        wrong += _results(line, folder, summary)
    return wrong


def _differing(settings: Mapping[str, Any], config: dict[str, Any]) -> list[str]:
    wrong = []
    for key, value in settings.items():
        found: Any = config
        for part in key.split("."):
            found = found.get(part, _MISSING) if isinstance(found, dict) else _MISSING
        if found is _MISSING:
            wrong.append(f"config.yaml has no {key}")
        elif found != value or isinstance(found, bool) != isinstance(value, bool):
            wrong.append(f"config.yaml has {key}={found!r}, typed was {value!r}")
    return wrong


def _values(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Values within their intervals, of which there is one at least."""
    wrong = [] if any(row["value"] for row in rows) else ["scores.csv has no value"]
    for row in rows:
        numbers = [row[column] for column in ("low", "value", "high")]
        if all(numbers) and not float(numbers[0]) <= float(numbers[1]) <= float(numbers[2]):
            wrong.append(
                f"{row['measure']} is {numbers[1]}, outside its interval {numbers[0]} to {numbers[2]}"
            )
    return wrong


def _results(line: Line, folder: Path, summary: dict[str, Any]) -> list[str]:
    """Scores, and a checkpoint of the step at which the last of them were taken; of other commands, their values."""
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if "step" not in (rows[0] if rows else {}):
        return _values(rows)
    steps = {int(row["step"]) for row in rows}
    wrong = []
    if max(steps, default=None) != summary["steps"]:
        wrong.append(f"summary.json is of step {summary['steps']}, scores.csv of {max(steps, default=None)}")
    if not 0 <= summary["g"] <= 1:
        wrong.append(f"g is {summary['g']}")
    if line.steps is None:
        return wrong
    if summary["steps"] != line.steps:
        wrong.append(f"ended at step {summary['steps']} instead of {line.steps}")
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        return [*wrong, "no last.ckpt"]
    import torch

    step = torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"]
    return (
        wrong
        if step == line.steps
        else [*wrong, f"last.ckpt is of step {step}, the last scores of {line.steps}"]
    )
