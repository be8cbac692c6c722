"""Run folders of transfer.py with all that the report asks for, of made-up encoders.

python tests/reporting/transfer/made_transfer.py FOLDER writes a study to look at: two encoders, eight tasks, four
techniques, three seeds. PYTHONPATH must have src and tests.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reporting.synthetic import change_summary
from reporting.transfer.made_runs import write

TASKS = ("digits", "typefaces", "silhouettes", "edges", "artists", "textures", "shapes", "patches")
CURVE_COLUMNS = (
    "encoder", "trained_on", "technique", "alpha", "tested_on", "role", "accuracy", "accuracy_low", "accuracy_high",
    "change", "change_low", "change_high", "n",
)  # fmt: skip
WEIGHTS = {"full": 151_277_313, "bitfit": 168_960, "lora": 245_760, "adapter": 262_144, "probe": 5_130}


def write_transfer(
    folder: Path,
    encoder: str,
    task: str,
    technique: str,
    *,
    iimm: float = 0.3,
    before: float = 0.5,
    after: float = 0.7,
    others: Mapping[str, float] | None = None,
    seed: int = 0,
    composed: bool = False,
    settings: Mapping[str, Any] | None = None,
    measures: Mapping[str, float] | None = None,
    held_out: float = 0.8,
    alphas: Sequence[float] = (),
    **summary: object,
) -> Path:
    """Write a finished run; `others` are changes of accuracy by task, `settings` have dotted keys.

    With `alphas` the task gains with the square root of alpha, and the others lose with its square.
    """
    config: dict[str, Any] = {
        "seed": seed, "data": {"name": task, "split_seed": 0}, "model": {"name": encoder, "optimizer": {"lr": 0.01}},
        "encoder": {"architecture": encoder}, "technique": {"_target_": f"unseen.encoders.tuning.{technique}"},
        "others": list(others or {}), "epochs": 10, "batch_size": 64, "paths": {"output_dir": str(folder)},
    }  # fmt: skip
    for key, value in (settings or {}).items():
        *parents, last = key.split(".")
        place = config
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    write(
        folder.parent, task, iimm, (after - before) / (1 - before), seed=seed, technique=technique, encoder=encoder,
        before=before, measures={"inter": iimm - 0.2, "intra": iimm + 0.2} | dict(measures or {}), config=config,
        held_out=held_out, folder=folder.name, composed=composed, **(others or {}),
    )  # fmt: skip
    typed = [f"encoder={encoder}", f"data={task}", f"technique={technique}", f"seed={seed}"]
    facts = {
        "schema": 1, "encoder": f"{encoder} of random weights", "config_hash": f"hash of {folder}",
        "command": ["src/transfer.py", *typed, f"hydra.run.dir='{folder}'"],
        "trainable_parameters": WEIGHTS.get(technique), "parameters": 151_277_313, "versions": {"torch": "2.14.1"},
    }  # fmt: skip
    change_summary(folder, **(facts | summary))
    if alphas:
        lost = list((others or {}).values())
        rows = [
            [encoder, task, technique, alpha, name, role, start + change, "", "", change, "", "", n]
            for alpha in alphas
            for name, role, start, change, n in (
                (task, "task", before, (after - before) * alpha**0.5, 100),
                *((name, "other", 0.5, moved * alpha**2, 100) for name, moved in (others or {}).items()),
                ("other tasks", "mean of others", 0.5, sum(lost) / max(1, len(lost)) * alpha**2, len(lost)),
            )
        ]
        with (folder / "interpolation.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([CURVE_COLUMNS, *rows])
    return folder


def write_study(
    root: Path,
    *,
    encoders: Sequence[str] = ("clip", "composed"),
    tasks: Sequence[str] = TASKS[:5],
    techniques: Sequence[str] = ("full", "lora"),
    seeds: int = 2,
    alphas: Sequence[float] = (),
) -> Path:
    """Write a run for each: gain and forgetting rise with IIMM, less so with a technique that trains less."""
    for place, encoder in enumerate(encoders):
        rng = np.random.default_rng(place)
        iimm, zero_shot = rng.uniform(0.2, 0.5, len(tasks)), rng.uniform(0.2, 0.8, len(tasks))
        for at, task in enumerate(tasks):
            for strength, technique in enumerate(techniques):
                for seed in range(seeds):
                    share = 1 / (1 + strength)
                    gain = float(np.clip(1.6 * (iimm[at] - 0.1) * share + rng.normal(0, 0.04), -0.2, 0.98))
                    others = {
                        name: -0.6 * float(iimm[at]) * share * rng.uniform(0, 1)
                        for name in tasks
                        if name != task
                    }
                    before = float(zero_shot[at])
                    write_transfer(
                        root / f"{encoder}-{task}-{technique}-{seed}", encoder, task, technique, seed=seed,
                        iimm=float(iimm[at]), before=before, after=before + gain * (1 - before), others=others,
                        alphas=alphas, composed=encoder == "composed", measures={"logme": float(rng.normal())},
                    )  # fmt: skip
    return root


if __name__ == "__main__":
    names, tried = ("clip_vit_b32", "composed"), ("full", "lora", "bitfit", "adapter")
    steps = (0, 0.25, 0.5, 0.75, 1)
    write_study(Path(sys.argv[1]), encoders=names, tasks=TASKS, techniques=tried, seeds=3, alphas=steps)
