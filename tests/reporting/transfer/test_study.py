"""The study's files and sentences: what is claimed, and what few tasks cannot show."""

from __future__ import annotations

import csv
from pathlib import Path

from reporting.transfer.made_runs import TASKS, write, write_tasks

from unseen.reporting.transfer.study import transfer_study


def test_four_tasks_in_perfect_order_show_nothing(tmp_path: Path) -> None:
    write_tasks(tmp_path / "runs", (0, 0.1, 0.2, 0.3), (0.1, 0.15, 0.2, 0.25))
    sentences = transfer_study([tmp_path / "runs"], tmp_path / "out")
    assert "None of 1 lines" in sentences[1]
    assert sentences[2] == "By their order 4 tasks never have p ≤ .05, whatever the outcomes are."


def test_what_is_claimed_says_what_it_rests_on(tmp_path: Path) -> None:
    write_tasks(tmp_path / "runs", range(6), (0.1, 0.15, 0.21, 0.25, 0.3, 0.35))
    shown, limits = transfer_study([tmp_path / "runs"], tmp_path / "out")[1:3]
    assert shown.startswith("gain goes with iimm over 6 tasks (clip, full): slope 0.0497 [")
    # 2 of 720 orders, times one line and three families
    assert "τ = 1.00 [0.47, 1.00]; by the order of outcomes p = 0.0028, 0.0083 with all lines" in shown
    assert "independent draws" in limits


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
        "points.csv", "matrix.csv", "regressions.csv", "components.csv", "weights.csv", "weight_choices.csv",
        "forecasts.csv", "new_tasks.csv", "techniques.csv", "chosen.csv", "summary.txt",
    }  # fmt: skip
