"""Runs as points: means over seeds, settings chosen by held-out accuracy, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from reporting.transfer.made_runs import write

from unseen.reporting.transfer.points import read_tasks


def test_runs_of_a_task_are_averaged_and_techniques_are_not(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.2, 0.3, seed=0, b=-0.1)
    write(tmp_path, "a", 0.4, 0.5, seed=1, b=-0.3)
    write(tmp_path, "a", 0.2, 0.1, technique="lora")
    full, lora = read_tasks([tmp_path]).points
    assert (full.runs, full.measures) == (2, {"iimm": pytest.approx(0.3)})
    assert (full.changes["b"], full.outcomes["mean_change"]) == pytest.approx((-0.2, -0.2))
    # gains .3 and .5: standard deviation with ddof 1 is .2 / √2
    assert full.spread["gain"] == pytest.approx(0.2 / math.sqrt(2))
    assert (lora.technique, lora.outcomes) == ("lora", {"gain": 0.1})
    assert math.isnan(lora.spread["gain"])


def _tried(root: Path, lr: float, held_out: float | None, gain: float, seed: int = 0, **more: Any) -> None:
    config = {"seed": seed, "model": {"optimizer": {"lr": lr, "_partial_": True}}}
    write(root, "a", 0.2, gain, seed=seed, config=config, held_out=held_out, folder=f"{lr}-{seed}", **more)


def test_the_setting_is_chosen_by_held_out_accuracy_alone(tmp_path: Path) -> None:
    # the larger rate is better on test images and worse on held-out ones
    for seed, (low, high) in enumerate(((0.6, 0.7), (0.8, 0.5))):
        _tried(tmp_path, 1e-4, low, 0.1 + 0.2 * seed, seed)
        _tried(tmp_path, 1e-2, high, 0.9, seed)
    tasks = read_tasks([tmp_path])
    (point,) = tasks.points
    assert (point.outcomes["gain"], point.runs) == (pytest.approx(0.2), 2)
    assert point.setting == "model.optimizer.lr=0.0001"
    assert [(one.text, one.chosen) for one in tasks.settings] == [
        ("model.optimizer.lr=0.0001", True),
        ("model.optimizer.lr=0.01", False),
    ]
    assert [one.held_out_accuracy for one in tasks.settings] == pytest.approx([0.7, 0.6])
    assert tasks.notes == []


def test_equal_settings_take_the_first_in_order_and_uneven_seeds_are_said(tmp_path: Path) -> None:
    _tried(tmp_path, 1e-2, 0.7, 0.9, 0)
    _tried(tmp_path, 5e-3, 0.7, 0.1, 0)
    _tried(tmp_path, 5e-3, 0.7, 0.3, 1)
    tasks = read_tasks([tmp_path])
    assert tasks.points[0].setting == "model.optimizer.lr=0.005"
    assert "settings were not tried with the same seeds" in tasks.notes[0]


def test_settings_without_held_out_accuracies_cannot_be_chosen(tmp_path: Path) -> None:
    _tried(tmp_path, 1e-2, 0.7, 0.9)
    _tried(tmp_path, 1e-3, None, 0.9)
    with pytest.raises(
        ValueError, match=r"several settings \(model.optimizer.lr\), and .*0\.001-0 has no held_out"
    ):
        read_tasks([tmp_path])


def test_the_published_fault_is_a_technique_of_its_own(tmp_path: Path) -> None:
    for accumulate in (False, True):
        config = {"technique": {"_target_": "lora", "accumulate": accumulate}}
        write(tmp_path, "a", 0.2, 0.3, technique="lora", config=config, folder=str(accumulate))
    assert [point.technique for point in read_tasks([tmp_path]).points] == ["lora", "lora (accumulate)"]


@pytest.mark.parametrize(
    ("one", "another", "named"),
    [
        ({"batch_size": 64}, {"batch_size": 32}, "batch_size"),
        ({"data": {"train_size": 10}}, {"data": {"train_size": 20}}, "data.train_size"),
        ({"technique": {"_target_": "a"}}, {"technique": {"_target_": "b"}}, "technique._target_"),
    ],
)
def test_other_differences_are_refused(tmp_path: Path, one: Any, another: Any, named: str) -> None:
    for seed, config in enumerate((one, another)):
        write(tmp_path, "a", 0.2, 0.3, seed=seed, config={"seed": seed} | config)
    with pytest.raises(
        ValueError, match=rf"full-a-0 and .*full-a-1 are runs of one task and differ in {named}: runs="
    ):
        read_tasks([tmp_path])


def test_other_tasks_may_be_tested_otherwise_and_draws_may_differ(tmp_path: Path) -> None:
    for seed in (0, 1):
        config = {
            "seed": seed,
            "others": [{"b": {"test_size": seed}}],
            "draws": seed,
            "paths": {"output_dir": str(seed)},
        }
        write(tmp_path, "a", 0.2, 0.3, seed=seed, config=config)
    assert read_tasks([tmp_path]).points[0].runs == 2


def test_other_tasks_count_where_they_are_replayed(tmp_path: Path) -> None:
    for seed, others in enumerate((["b"], ["b", "c"])):
        write(tmp_path, "a", 0.2, 0.3, seed=seed, config={"seed": seed, "others": others, "replay": 0.5})
    with pytest.raises(ValueError, match="differ in others: "):
        read_tasks([tmp_path])


def test_tasks_of_one_encoder_have_the_same_weights(tmp_path: Path) -> None:
    for task, weights in (("a", "openai"), ("b", "laion")):
        write(tmp_path, task, 0.2, 0.3, config={"encoder": {"pretrained": weights}})
    with pytest.raises(ValueError, match=r"are runs of one encoder and differ in encoder\.pretrained"):
        read_tasks([tmp_path])


def test_techniques_of_a_task_have_the_same_images(tmp_path: Path) -> None:
    for technique, size in (("full", 10), ("lora", 20)):
        write(tmp_path, "a", 0.2, 0.3, technique=technique, config={"data": {"train_size": size}})
    with pytest.raises(ValueError, match=r"are runs of one task and differ in data\.train_size"):
        read_tasks([tmp_path])


def test_a_run_that_was_made_again_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.2, 0.3, folder="first", written="2026-01-01")
    write(tmp_path, "a", 0.2, 0.5, folder="again", written="2026-01-02")
    tasks = read_tasks([tmp_path])
    assert (tasks.points[0].runs, tasks.points[0].outcomes["gain"]) == (1, 0.5)
    assert "1 run with the settings and seed of a later one left out" in tasks.notes[0]


def test_folders_that_overlap_count_once(tmp_path: Path) -> None:
    write(tmp_path / "runs", "a", 0.2, 0.3)
    assert read_tasks([tmp_path, tmp_path / "runs"]).points[0].runs == 1


def test_a_perfect_start_has_no_gain(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.2, 0.0, before=1.0, b=-0.2)
    tasks = read_tasks([tmp_path])
    assert tasks.points[0].outcomes == {"mean_change": -0.2}
    assert tasks.notes[0].startswith("a (clip, full): zero-shot accuracy is 1, of which no gain is defined")


def test_mean_change_is_over_the_other_tasks_of_all_runs(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.2, 0.3, seed=0, b=-0.1, c=-0.5)
    write(tmp_path, "a", 0.2, 0.3, seed=1, b=-0.3)
    tasks = read_tasks([tmp_path])
    assert tasks.points[0].outcomes["mean_change"] == pytest.approx(-0.2)
    assert "its runs tested different other tasks; mean_change is over those of all: b" in tasks.notes[0]


def test_uneven_seeds_are_said(tmp_path: Path) -> None:
    for task, seeds in (("a", 2), ("b", 1)):
        for seed in range(seeds):
            write(tmp_path, task, 0.2, 0.3, seed=seed)
    assert read_tasks([tmp_path]).notes == ["clip, full: tasks do not have the same seeds (runs: a 2, b 1)."]


def test_measured_tasks_wait_for_a_forecast(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.2, 0.3)
    for seed, iimm in ((0, 0.4), (1, 0.6)):
        write(tmp_path, "b", iimm, 0.0, seed=seed, technique="none")
    for seed in (0, 1):
        config = {"seed": seed, "data": {"train_size": 10 + seed}}
        write(tmp_path, "c", 0.1, 0.0, seed=seed, technique="none", config=config)
    tasks = read_tasks([tmp_path])
    assert {one.task: one.measures["iimm"] for one in tasks.measured} == {"a": 0.2, "b": pytest.approx(0.5)}
    assert tasks.notes == ["c (clip) was measured with different data.train_size: no forecast for it."]


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a", 0.2, 0.3)
    (path / "scores.csv").write_text("task,value\na,1\n")
    with pytest.raises(ValueError, match=r"full-a-0 is not as transfer\.py writes it"):
        read_tasks([tmp_path])


def test_nothing_that_has_trained(tmp_path: Path) -> None:
    write(tmp_path, "a", 0.1, 0.1, technique="none")
    with pytest.raises(ValueError, match=r"no finished run of transfer\.py that has trained"):
        read_tasks([tmp_path])
