"""The study's files and sentences: what is claimed, and what few tasks cannot show."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from reporting.transfer.made_runs import TASKS, write, write_tasks

from unseen.reporting.transfer.study_folder import transfer_study


def test_four_tasks_in_perfect_order_show_nothing(tmp_path: Path) -> None:
    write_tasks(tmp_path / "runs", (0, 0.1, 0.2, 0.3), (0.1, 0.15, 0.2, 0.25))
    sentences = transfer_study([tmp_path / "runs"], tmp_path / "out")
    assert "None of 1 lines" in sentences[1]
    assert sentences[2] == "By their order 4 tasks never have p ≤ .05, whatever the outcomes are."


def test_what_is_claimed_says_what_it_rests_on(tmp_path: Path) -> None:
    write_tasks(tmp_path / "runs", range(6), (0.1, 0.15, 0.21, 0.25, 0.3, 0.35))
    shown, limits = transfer_study([tmp_path / "runs"], tmp_path / "out")[1:3]
    assert shown.startswith("gain goes with iimm over 6 tasks (clip, full): slope 0.0497 [")
    # 2 of 720 orders, times one line and two families
    assert "τ = 1.00 [0.47, 1.00]; by the order of outcomes p = 0.0028, 0.0056 with all lines" in shown
    assert "independent draws" in limits


def test_too_many_lines_for_few_tasks_are_said(tmp_path: Path) -> None:
    # 1/60 at least, times two families and four lines, is above .10
    for technique in ("full", "lora", "bitfit", "adapter"):
        write_tasks(tmp_path / "runs", range(5), (0.1, 0.3, 0.2, 0.25, 0.3), technique=technique)
    sentences = transfer_study([tmp_path / "runs"], tmp_path / "out")
    assert "With 5 tasks p is 0.017 at least, and 4 lines of the IIMM with it are too many" in sentences[2]
    write_tasks(tmp_path / "one", range(6), (0.1, 0.3, 0.2, 0.25, 0.3, 0.1))
    sentences = transfer_study([tmp_path / "one"], tmp_path / "out2")
    assert sentences[2].startswith("A single test of 6 tasks finds a true rank correlation of 0.9")


def test_every_kind_of_sentence(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    rng = np.random.default_rng(0)
    for technique, more in (("full", 0.2), ("lora", 0.0)):
        for at, task in enumerate(TASKS[:6]):
            other = {name: -0.1 * rng.random() for name in TASKS[:6] if name != task}
            halves = {"intra": rng.random(), "inter": rng.random()}
            write(
                runs,
                task,
                at / 10,
                more + rng.random() / 5,
                technique=technique,
                measures=halves,
                composed=True,
                **other,
            )
    for folder, held_out, epochs in (("one", 0.5, 3), ("two", 0.4, 5)):
        config = {"epochs": epochs}
        write(runs, "g", 0.25, 0.2, held_out=held_out, config=config, folder=folder, composed=True, a=-0.1)
    write(runs, "new", 0.9, 0.0, technique="none", composed=True)
    text = "\n".join(transfer_study([runs], tmp_path / "out"))
    for part in (
        "clip: two towers trained apart and joined",
        "1 of 13 outcomes are of the setting with the best held-out accuracy among several",
        "A weight of IIMM's halves that is the best of 11 over a handful of tasks is chosen after the fact",
        "An outcome forecast by its task's IIMM from all other tasks is nearer than their mean in",
        "new, not tuned by full (clip): gain forecast",
        "Its IIMM is beyond theirs: nothing shows that the line goes on there.",
        "g, not tuned by lora (clip): mean_change forecast",
        "full gains most over 6 common tasks (clip), better than lora: mean 0.",
        "Which technique forgets least cannot be said over 6 common tasks",
        "clip, full: tasks were not trained with the same settings to choose from.",
        "techniques are compared in gain over 6 of 7 tasks",
    ):
        assert part in text, part
    with (tmp_path / "out" / "chosen.csv").open(encoding="utf-8") as file:
        assert [(row["text"], row["chosen"]) for row in csv.DictReader(file)] == [
            ("epochs=3", "True"),
            ("epochs=5", "False"),
        ]
    with (tmp_path / "out" / "points.csv").open(encoding="utf-8") as file:
        (row,) = [row for row in csv.DictReader(file) if row["task"] == "g"]
    assert (row["setting"], row["runs"], row["seeds"], row["gain_sd"]) == ("epochs=3", "1", "0", "")


def test_tables_and_sentences(tmp_path: Path) -> None:
    for place, task in enumerate(TASKS[:3]):
        write(tmp_path / "runs", task, place / 10, 0.1 * place, **{TASKS[place + 1]: -0.1})
    sentences = transfer_study([tmp_path / "runs"], tmp_path / "out")
    assert sentences[1].startswith("A line over tasks needs 4 of them at least")
    assert sentences[-1] == "clip, full: mean_change is over different other tasks for different tasks."
    with (tmp_path / "out" / "matrix.csv").open(encoding="utf-8") as file:
        cells = {(row["trained_on"], row["tested_on"]): row["change"] for row in csv.DictReader(file)}
    assert set(cells) == {("a", "a"), ("a", "b"), ("b", "b"), ("b", "c"), ("c", "c"), ("c", "d")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "points.csv", "matrix.csv", "regressions.csv", "iimm_parts.csv", "weights.csv", "weight_choices.csv",
        "forecasts.csv", "new_tasks.csv", "techniques.csv", "chosen.csv", "summary.txt",
    }  # fmt: skip
