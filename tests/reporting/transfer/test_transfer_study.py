"""Lines over tasks by hand, and what few tasks may say."""

from __future__ import annotations

import csv
import json
import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from unseen.reporting.transfer.study import lines, read_points, transfer_study

TASKS = ("a", "b", "c", "d", "e")


def write(
    root: Path, task: str, iimm: float, gain: float, *, seed: int = 0, technique: str = "full", **other: float
) -> None:
    folder = root / f"{technique}-{task}-{seed}"
    folder.mkdir(parents=True)
    rows = [("task", "measure", "value"), (task, "iimm", iimm), (task, "gain", gain)]
    rows += [(task, "accuracy_change", gain / 2)]
    rows += [(name, "accuracy_change", value) for name, value in other.items()]
    if other:
        rows.append(("other tasks", "mean_change", float(np.mean(list(other.values())))))
    with (folder / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    facts = {"kind": "transfer", "status": "finished", "model": "clip", "technique": technique, "data": task}
    (folder / "summary.json").write_text(json.dumps(facts))


def test_a_line_by_hand(tmp_path: Path) -> None:
    # gain = 0.1 + 0.5 iimm, exactly
    for place, task in enumerate(TASKS):
        write(tmp_path, task, place / 10, 0.1 + 0.05 * place)
    (line,) = lines(read_points([tmp_path]))
    assert (line.outcome, line.measure, line.n) == ("gain", "iimm", 5)
    assert (line.slope, line.r2, line.tau) == pytest.approx((0.5, 1, 1))
    assert line.error == pytest.approx(0, abs=1e-12)
    # the mean of the four others misses by .05 · |place - mean of the others| = .125, .0625, 0, .0625, .125
    assert line.error_of_mean == pytest.approx(0.075)
    assert line.may_be_written


def test_against_scipy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5))
    for task, one, other in zip(TASKS, x, y, strict=True):
        write(tmp_path, task, one, other)
    (line,) = lines(read_points([tmp_path]))
    fit = stats.linregress(x, y)
    assert (line.slope, line.p, line.r2) == pytest.approx((fit.slope, fit.pvalue, fit.rvalue**2))
    assert (line.low + line.high) / 2 == pytest.approx(line.slope)


def test_runs_of_a_task_are_averaged_and_techniques_are_not(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.2, 0.3, seed=0, b=-0.1)
    write(tmp_path, "a", 0.4, 0.5, seed=1, b=-0.3)
    write(tmp_path, "a", 0.2, 0.1, technique="lora")
    full, lora = read_points([tmp_path])
    assert (full.runs, full.measures, full.changes["b"]) == (2, {"iimm": pytest.approx(0.3)}, -0.2)
    assert (lora.technique, lora.outcomes) == ("lora", {"gain": 0.1})


def test_runs_that_were_trained_otherwise_are_not_averaged(tmp_path: Path) -> None:
    for seed, epochs in ((0, 5), (1, 5), (2, 10)):
        write(tmp_path, "a", 0.2, 0.3, seed=seed)
        config = {
            "seed": seed,
            "epochs": epochs,
            "others": {"b": seed},
            "paths": {"output_dir": f"logs/{seed}"},
        }
        (tmp_path / f"full-a-{seed}" / "config.yaml").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r"full-a-0 and .*full-a-2 are runs of one task and differ in epochs: "
    ):
        read_points([tmp_path])
    (tmp_path / "full-a-2" / "summary.json").write_text("{}")
    assert read_points([tmp_path])[0].runs == 2


@pytest.mark.parametrize(("replay", "alike"), [(0.0, True), (0.5, False)])
def test_other_tasks_count_where_they_are_replayed(tmp_path: Path, replay: float, alike: bool) -> None:
    for seed, others in enumerate((["b"], ["b", "c"])):
        write(tmp_path, "a", 0.2, 0.3, seed=seed)
        config = {"seed": seed, "others": others, "replay": replay}
        (tmp_path / f"full-a-{seed}" / "config.yaml").write_text(json.dumps(config))
    with nullcontext() if alike else pytest.raises(ValueError, match="differ in others: "):
        assert read_points([tmp_path])[0].runs == 2


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.2, 0.3)
    (tmp_path / "full-a-0" / "scores.csv").write_text("task,value\na,1\n")
    with pytest.raises(ValueError, match=r"full-a-0 is not as transfer\.py writes it"):
        read_points([tmp_path])


def test_a_line_that_rests_on_one_task_is_none(tmp_path: Path) -> None:
    for place, task in enumerate(TASKS):
        write(tmp_path / "one", task, float(task == "e"), 0.1 * place)
        write(tmp_path / "two", task, float(task in "de"), 0.1 * place)
    assert lines(read_points([tmp_path / "one"])) == []
    assert len(lines(read_points([tmp_path / "two"]))) == 1


def test_a_value_that_is_no_number_costs_its_task_only(tmp_path: Path) -> None:
    for place, task in enumerate(TASKS):
        write(tmp_path, task, math.inf if task == "a" else place / 10, 0.1 * place)
    (line,) = lines(read_points([tmp_path]))
    assert line.n == 4


def test_what_is_shown_says_what_it_rests_on(tmp_path: Path) -> None:
    for place, task in enumerate(TASKS[:4]):
        write(tmp_path / "runs", task, place / 10, 0.1 + 0.05 * place + 0.001 * (place == 2))
    *_, shown, limits = transfer_study([tmp_path / "runs"], tmp_path / "out")
    # four tasks in one order: 2 of 24 orders
    assert shown.startswith("gain goes with iimm over 4 tasks (clip, full): slope 0.50")
    assert "by their order alone τ = 1.00, p = 0.083, not corrected" in shown
    assert "independent draws" in limits


def test_tables_and_sentences(tmp_path: Path) -> None:
    for place, task in enumerate(TASKS[:3]):
        write(tmp_path / "runs", task, place / 10, 0.1 * place, **{TASKS[place + 1]: -0.1})
    sentences = transfer_study([tmp_path / "runs"], tmp_path / "out")
    assert sentences[-1].startswith("A line over tasks needs 4 of them at least")
    with (tmp_path / "out" / "matrix.csv").open(encoding="utf-8") as file:
        cells = {(row["trained_on"], row["tested_on"]): row["change"] for row in csv.DictReader(file)}
    assert set(cells) == {("a", "a"), ("a", "b"), ("b", "b"), ("b", "c"), ("c", "c"), ("c", "d")}
    # five tasks without a relation
    for task, value in zip(TASKS, (0.1, 0.4, 0.2, 0.4, 0.1), strict=True):
        write(tmp_path / "more", task, TASKS.index(task) / 10, value)
    assert "None of 1 lines" in transfer_study([tmp_path / "more"], tmp_path / "out2")[-1]


def test_nothing_that_has_trained(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.1, 0.1, technique="none")
    with pytest.raises(ValueError, match=r"no finished run of transfer\.py that has trained"):
        read_points([tmp_path])
