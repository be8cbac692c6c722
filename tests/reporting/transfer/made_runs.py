"""Run folders as transfer.py writes them, of numbers that a test chooses."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

TASKS = ("a", "b", "c", "d", "e", "f", "g", "h")


def write(
    root: Path,
    task: str,
    iimm: float,
    gain: float,
    *,
    seed: int = 0,
    technique: str = "full",
    encoder: str = "clip",
    before: float = 0.5,
    measures: Mapping[str, float] | None = None,
    config: Mapping[str, Any] | None = None,
    held_out: float | None = None,
    folder: str = "",
    composed: bool = False,
    written: str = "2026-01-01T00:00:00+00:00",
    **other: float,
) -> Path:
    """Write a finished run; `other`: changes of accuracy of other tasks; technique none: nothing was trained."""
    path = root / (folder or f"{encoder}-{technique}-{task}-{seed}")
    path.mkdir(parents=True)
    rows = [(task, "", "accuracy_before", before), (task, "", "iimm", iimm)]
    rows += [(task, "", name, value) for name, value in (measures or {}).items()]
    rows += [(name, "", "accuracy_before", 0.5) for name in other]
    if technique != "none":
        changes = {task: gain * (1 - before), **other}
        for name, change in changes.items():
            start = before if name == task else 0.5
            rows.append((name, technique, "accuracy_after", start + change))
            rows.append((name, technique, "accuracy_change", change))
        rows.append((task, technique, "gain", gain if before < 1 else ""))
        if other:
            rows.append(("other tasks", technique, "mean_change", float(np.mean(list(other.values())))))
    with (path / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(
            ("encoder", "task", "technique", "measure", "value", "low", "high", "n", "seconds", "percentile")
        )
        out.writerows((encoder, of, how, name, value, "", "", 100, "", "") for of, how, name, value in rows)
    facts = {"kind": "transfer", "status": "finished", "model": encoder, "technique": technique, "data": task}
    facts |= {"encoder": encoder, "composed": composed, "seed": seed, "written": written}
    if held_out is not None:
        facts["held_out_accuracies"] = [held_out - 0.1, held_out]
    (path / "summary.json").write_text(json.dumps(facts))
    settings = {"seed": seed, "data": {"name": task, "split_seed": 0}} | dict(config or {})
    (path / "config.yaml").write_text(json.dumps(settings))
    return path


def write_tasks(root: Path, iimm: Any, gain: Any, **same: Any) -> None:
    """Write a run a task, a, b, c, ..."""
    for task, x, y in zip(TASKS, iimm, gain, strict=False):
        write(root, task, float(x), float(y), **same)
