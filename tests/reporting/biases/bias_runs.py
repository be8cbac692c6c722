"""Folders as biases.py writes them, of made-up networks."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

Values = Mapping[tuple[str, str], float]


def write_run(folder: Path, model: str, values: Values, **summary: object) -> Path:
    folder.mkdir(parents=True)
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "images", "measure", "value", "low", "high", "n"])
        writer.writerows(
            [model, images, measure, "" if math.isnan(value) else value, "", "", 100]
            for (measure, images), value in values.items()
        )
    with (folder / "conditions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "images", "measure", "condition", "mean", "n"])
        cutoffs = (0.1, 0.2, 0.3, 0.4, 0.5)
        curve = [("clean", 0.5), *((f"low_pass_{cutoff:g}", cutoff / 2) for cutoff in cutoffs)]
        writer.writerows([model, "edges", "low_frequency", name, mean, 100] for name, mean in curve)
    content = {"kind": "biases", "status": "finished"} | summary
    (folder / "summary.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_runs(root: Path, n: int, **summary: object) -> Path:
    for at in range(n):
        values = {
            ("shape_bias", "cue_conflict"): 0.2 + 0.05 * at,
            ("low_frequency_bias", "edges"): 0.5 + 0.1 * (-1) ** at,
            ("accuracy", "edges"): 0.6 - 0.02 * at,
        }
        write_run(root / f"run{at}", f"net{at}", values, **summary)
    return root
