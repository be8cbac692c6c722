"""Folders as biases.py writes them, of made-up networks."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from reporting.synthetic import change_summary

from unseen.biases.measure import Measure
from unseen.biases.measuring import Observations

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
    content = {"kind": "biases", "status": "finished", "model": model, "seed": 0} | summary
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


def write_measured(
    folder: Path,
    model: str,
    measured: Mapping[tuple[str, str], tuple[Measure, Any]],
    *,
    images: str = "these",
    **summary: object,
) -> Path:
    """Write a run with the numbers of its images.

    Args:
        folder: Is made.
        model: The network's name.
        measured: By name of the measure in the configuration and set of images: the measure, and numbers (N, K).
        images: What tells these images from others.
        summary: Facts of summary.json.
    """
    values: dict[tuple[str, str], tuple[float, float, float, int]] = {}
    kept = []
    for (name, of_images), (measure, numbers) in measured.items():
        observations = Observations(measure, len(numbers), "any")
        observations.add(torch.tensor(np.asarray(numbers, dtype=np.float32)))
        for value, estimate in observations.estimates().items():
            values[value, of_images] = (estimate.value, estimate.low, estimate.high, estimate.n)
        kept.append((f"{name}@{of_images}.npz", observations))
    write_run(folder, model, {key: value for key, (value, *_) in values.items()}, **summary)
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "images", "measure", "value", "low", "high", "n"])
        for (value, of_images), numbers in values.items():
            cells = ("" if math.isnan(number) else number for number in numbers)
            writer.writerow([model, of_images, value, *cells])
    for place in ("observations", "resamples"):
        (folder / place).mkdir()
    for name, observations in kept:
        np.savez(folder / "observations" / name, **observations.arrays())  # type: ignore[arg-type]
        drawn = observations.paired()
        about = {"images": images, "measure": repr(observations.measure), "names": list(drawn)}
        arrays = {key: np.array(value) for key, value in about.items()}
        np.savez(
            folder / "resamples" / name,
            values=np.stack([*drawn.values()], axis=1),
            drawn=np.array(observations.drawn),
            **arrays,
        )  # type: ignore[arg-type]
    return folder


def write_seed(folder: Path, seed: int, bias: float, g: float, **settings: object) -> Path:
    """Write a run on a network of the main job that was trained with this seed; `settings` are of its training."""
    values = {("low_frequency_bias", "own_test_images"): bias, ("accuracy", "own_test_images"): 0.9}
    trained = {
        "settings": {"trainer.max_steps": 100} | settings,
        "data": "calligraphy", "split_hash": "abc", "seen": ["a", "b"], "unseen": ["c"],
    }  # fmt: skip
    facts = {
        "seed": seed,
        "trained": trained,
        "g": g,
        "best_layer": 3,
        "schema": 1,
        "config_hash": f"hash{folder}",
    }
    checkpoint = f"/logs/run{seed}/checkpoints/last.ckpt"
    write_run(folder, f"vit@run{seed}", values, checkpoint=checkpoint, **facts)
    change_summary(folder, model="vit")
    config = {"seed": seed, "ckpt_path": checkpoint, "model": {"name": "vit"}, "trainer": {"max_steps": 1}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder
