"""What a sweep knows of its jobs before and after they ran; the commands' own tests run real ones."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console

from unseen.run_state import lock_folder, read_summary, state_of
from unseen.runs.errors import UserError
from unseen.runs.own_folder import own_checkpoint
from unseen.runs.sweeps.job_results import record_end, write_csv
from unseen.runs.sweeps.jobs import Job, find_runs, job_folder, label_jobs
from unseen.runs.sweeps.progress import job_outcome
from unseen.runs.sweeps.sweep import Sweep, _slots
from unseen.runs.sweeps.tables import aggregate, sweep_tables


def folder(root: Path, name: str, *, checkpoint: bool = False, age: int = 0, **summary: object) -> Path:
    path = root / name
    (path / "checkpoints").mkdir(parents=True)
    (path / "summary.json").write_text(json.dumps(summary))
    os.utime(path / "summary.json", (1000 - age, 1000 - age))
    if checkpoint:
        (path / "checkpoints" / "last.ckpt").touch()
    return path


def job(config_hash: str) -> Job:
    return Job(["seed=0"], Path("nowhere"), config_hash)


def test_a_finished_run_wins_over_a_newer_unfinished_one(tmp_path: Path) -> None:
    done = folder(tmp_path, "a", status="finished", config_hash="x", age=100)
    folder(tmp_path, "b", status="running", config_hash="x", checkpoint=True)
    jobs = [job("x")]
    find_runs(jobs, [tmp_path])
    assert (jobs[0].status, jobs[0].folder) == ("finished", done)
    assert not jobs[0].is_open


@pytest.mark.parametrize(
    ("status", "checkpoint", "found"),
    [
        ("running", True, "died"),
        ("failed", True, "failed"),
        ("failed", False, "failed"),
        ("running", False, "died"),
    ],
)
def test_how_far_a_job_came(tmp_path: Path, status: str, checkpoint: bool, found: str) -> None:
    path = folder(tmp_path, "a", status=status, config_hash="x", checkpoint=checkpoint)
    jobs = [job("x"), job("another")]
    find_runs(jobs, [tmp_path])
    assert [(one.status, one.folder) for one in jobs] == [(found, path), ("missing", Path("nowhere"))]
    assert [one.continues for one in jobs] == [checkpoint, False]
    assert all(one.is_open for one in jobs)


def test_what_was_typed_reaches_the_job_but_for_the_sweeps_own_folder() -> None:
    typed = [
        "seed=0",
        "ckpt_path=old",
        "++resume=true",
        "plan=true",
        "hydra.sweep.dir=a",
        "hydra/launcher=isolated",
    ]
    assert Job(typed, Path("/x/it's"), "x").arguments() == [
        "seed=0", "ckpt_path=old", r"hydra.run.dir='/x/it\'s'",
    ]  # fmt: skip


def test_a_half_done_job_goes_on_from_its_own_checkpoint_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by the environment: what was typed, and with it the configuration's hash, stays."""
    path = folder(tmp_path, "a", checkpoint=True)
    half = Job(["ckpt_path=old"], path, "x", status="died")
    assert half.arguments()[0] == "ckpt_path=old"
    assert own_checkpoint(path) is None
    for name, value in half.environment("sweep").items():
        monkeypatch.setenv(name, value)
    assert own_checkpoint(path) == path / "checkpoints" / "last.ckpt"
    assert "UNSEEN_CONTINUE" not in Job([], path, "x").environment("sweep")


@pytest.mark.parametrize(
    "content", ["{", "[1]", '"x"', "5", "null", '{"config_hash": ["x"]}', '{"config_hash": {}}', "", "\xff"]
)
def test_a_broken_or_foreign_summary_is_no_run(content: str, tmp_path: Path) -> None:
    good = folder(tmp_path, "b", status="failed", config_hash="x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "summary.json").write_bytes(content.encode("latin-1"))
    (tmp_path / "c" / "summary.json").mkdir(parents=True)
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "summary.json")
    jobs = [job("x"), job("y")]
    find_runs(jobs, [tmp_path])
    assert [one.folder for one in jobs] == [good, Path("nowhere")]


def test_nothing_is_written_into_a_folder_that_another_process_holds(tmp_path: Path) -> None:
    """Two sweeps of one line: the job that came second ends with a refusal, the first one's results stay."""
    path = folder(tmp_path, "a", status="running", config_hash="x", g=0.5)
    lock = lock_folder(path)
    before = (path / "summary.json").read_bytes()
    jobs = [Job(["seed=0"], path, "x")]
    record_end(jobs[0], 1)
    assert (path / "summary.json").read_bytes() == before
    find_runs(jobs, [tmp_path])
    assert jobs[0].status == "running"
    assert job_outcome(state_of(path)) == "running in another process; it is left to it"
    lock.release()
    find_runs(jobs, [tmp_path])
    assert jobs[0].status == "died"


def test_what_another_process_has_finished_stays(tmp_path: Path) -> None:
    path = folder(tmp_path, "a", status="finished", config_hash="x", g=0.5)
    before = (path / "summary.json").read_bytes()
    record_end(Job([], path, "x"), 1)
    assert (path / "summary.json").read_bytes() == before


def test_an_older_reason_is_not_this_jobs(tmp_path: Path) -> None:
    path = folder(tmp_path, "a", status="failed", reason="NaN", config_hash="x")
    again = Job([], path, "x", before=read_summary(path))
    (path / ".scores.csv.77-ab.part").touch()
    record_end(again, -9)
    assert "SIGKILL" in read_summary(path)["reason"]
    assert not list(path.glob(".*.part"))


def test_a_job_that_could_not_say_why_it_ended(tmp_path: Path) -> None:
    path = folder(tmp_path, "a", status="running", g=0.5)
    record_end(Job([], path, "x"), -9)
    killed = read_summary(path)
    assert (killed["status"], killed["g"]) == ("failed", 0.5)
    assert "SIGKILL" in killed["reason"]
    silent = Job([], tmp_path / "b", "y")
    silent.folder.mkdir()
    (silent.folder / "console.log").write_text("first\nerror: the last word\n\n")
    record_end(silent, 1)
    assert read_summary(silent.folder)["reason"] == "ended with exit code 1: error: the last word"


def test_jobs_are_named_by_what_differs() -> None:
    jobs = [Job(["model=vit", "seed=0", "a=1"], Path(), ""), Job(["model=swin", "seed=0", "a=1"], Path(), "")]
    label_jobs(jobs)
    assert [one.label for one in jobs] == ["model=vit", "model=swin"]
    assert job_folder("data.root=/a/b c,seed=0") == "data.root--a-b-c_seed-0"
    assert len(job_folder("x" * 500)) < 140


def finished(g: float | None, job: str, **more: object) -> dict[str, object]:
    return {
        "job": job, "status": "finished", "model": "vit", "data": "digits", "size": "demo", "seen_accuracy": 0.9,
        "g": g, "best_layer": 3, "best_layer_name": "blocks.2", "unseen": "7, 8", "split_hash": "a",
    } | more  # fmt: skip


def test_means_over_seeds_by_hand() -> None:
    """g .2 and .4: mean .3, sample standard deviation .1 * sqrt 2; the failed seed does not count."""
    rows = [
        finished(0.2, "model=vit seed=0"), finished(0.4, "model=vit seed=1"),
        finished(None, "model=vit seed=2", status="failed"), finished(0.7, "model=swin seed=0", model="swin"),
    ]  # fmt: skip
    groups = aggregate(rows)
    assert [(one["model"], one["n"], one["g"]) for one in groups] == [
        ("vit", 2, "0.300 ± 0.141"),
        ("swin", 1, "0.700"),
    ]
    assert groups[0]["best layer"] == "3 (blocks.2) ×2"


def test_means_over_class_splits_by_hand() -> None:
    """Means of the splits .3 and .7: mean .5, sample standard deviation .2 * sqrt 2; a split with NaN keeps its row."""
    other = {"unseen": "0, 1", "split_hash": "b"}
    rows = [
        finished(0.2, "seed=0 data.split_seed=0"), finished(0.4, "seed=1 data.split_seed=0"),
        finished(0.7, "seed=0 data.split_seed=1", **other), finished(math.nan, "seed=1 data.split_seed=1", **other),
    ]  # fmt: skip
    assert [(one["settings"], one["unseen classes"], one["n"], one["g"]) for one in aggregate(rows)] == [
        ("–", "7, 8", 2, "0.300 ± 0.141"),
        ("–", "0, 1", 1, "0.700"),
        ("–", "all splits", 2, "0.500 ± 0.283"),
    ]


def test_jobs_without_an_accuracy_or_without_probes_are_told(tmp_path: Path) -> None:
    """An untrained network has no accuracy, a run without the probing callback no layers."""
    evaluated = folder(
        tmp_path, "a", status="finished", seen_accuracy=None, g=0.25, best_layer=1, best_layer_name="l1",
        num_layers=3, seconds=2.0,
    )  # fmt: skip
    unprobed = folder(tmp_path, "b", status="finished", seconds=7.4)
    odd = folder(tmp_path, "c", status="finished", seconds="x", g=[1], best_layer=1, num_layers="y")
    assert [job_outcome(state_of(path)) for path in (evaluated, unprobed, odd)] == [
        "finished: g 0.250 at l1 (layer 1 of 0..2), 2 s", "finished: 7 s", "finished:  s",
    ]  # fmt: skip
    jobs = [Job([f"seed={number}"], path, "") for number, path in enumerate((evaluated, unprobed, odd))]
    label_jobs(jobs)
    screen = Console(file=io.StringIO(), width=200)
    sweep_tables(screen, write_csv(jobs, tmp_path))
    assert "0.250" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_many_jobs_with_values_are_a_row_each(tmp_path: Path) -> None:
    """Of an encoder its own task's values, of a network the first ten; a column a job would be unreadable."""
    of_kind: dict[str, dict[str, dict[str, float]]] = {
        "encoders": {
            "accuracy_before": {"digits": 0.25, "faces": 0.5},
            "gain": {"digits": 0.125},
            "mean_change": {"other tasks": -0.0625},
        },
        "networks": {f"bias_{number}": {"edges": number / 16} for number in range(12)},
    }
    for name, values in of_kind.items():
        paths = [
            folder(tmp_path / name, str(at), status="finished", data="digits", values=values)
            for at in range(7)
        ]
        jobs = [Job([f"seed={at}"], path, "") for at, path in enumerate(paths)]
        label_jobs(jobs)
        screen = Console(file=io.StringIO(), width=200)
        sweep_tables(screen, write_csv(jobs, tmp_path / name))
        lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
        (row,) = (line for line in lines if "seed=3" in line)
        cells = [cell.strip() for cell in row.split("│")[2:-1]]
        if name == "encoders":
            assert cells == ["0.250", "–", "0.125", "-0.062", "–", "finished"]
        else:
            assert cells == [f"{number / 16:.3f}" for number in range(10)] + ["finished"]


def test_a_disk_that_fills_while_a_sweep_starts_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path, **_: object) -> None:
        raise shutil.Error([(str(source), str(target), "[Errno 28] No space left on device")])

    monkeypatch.setattr(shutil, "copytree", full)
    configs = {"--config-path": tmp_path}
    sweep = Sweep(tmp_path, "train.py", lambda: None, configs, jobs=[Job([], tmp_path / "a", "x")])
    with pytest.raises(
        UserError, match=r"cannot write into the sweep's folder .*: \[Errno 28\] No space left"
    ):
        sweep.run()


def test_a_table_that_cannot_be_written_does_not_stop_the_jobs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.csv").mkdir()
    assert [row["status"] for row in write_csv([Job([], tmp_path / "a", "x")], tmp_path)] == ["missing"]
    assert "the table cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "visible", "count", "places"),
    [
        ({}, None, 4, ["0", "1", "2", "3"]),
        ({"devices": 2}, None, 5, ["0,1", "2,3"]),
        ({"devices": 2}, None, 3, [None]),
        ({}, "3, 5,MIG-a", 3, ["3", "5", "MIG-a"]),
        ({}, "3,5,7", 1, [None]),
        ({"accelerator": "cpu"}, None, 4, [None]),
        ({"num_nodes": 2}, None, 4, [None]),
        ({"devices": "auto"}, None, 4, [None]),
        ({"devices": -1}, None, 4, [None]),
    ],
)
def test_jobs_side_by_side_have_gpus_and_cores_of_their_own(
    settings: dict[str, object],
    visible: str | None,
    count: int,
    places: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As many as torch sees in a process of its own; 12 cores are divided."""
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("unseen.threads.cores", lambda processes: 12 // processes)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    slots = _slots({"accelerator": "auto", "devices": 1, "num_nodes": 1} | settings)
    assert [slot.get("CUDA_VISIBLE_DEVICES") for slot in slots] == places
    if places != [None]:
        assert {slot["OMP_NUM_THREADS"] for slot in slots} == {str(12 // len(places))}


def test_as_many_jobs_run_at_once_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("unseen.threads.cores", lambda processes: 12 // processes)
    trainer = {"accelerator": "cpu", "devices": 1, "num_nodes": 1}
    assert _slots(trainer) == _slots(trainer, 1) == [{}]
    assert _slots(trainer, 3) == [{"OMP_NUM_THREADS": "4", "UNSEEN_JOBS_AT_ONCE": "3"}] * 3
    monkeypatch.setattr("unseen.runs.sweeps.sweep._gpu_groups", lambda _: [{"GPUS": "0,1"}, {"GPUS": "2,3"}])
    assert [slot["GPUS"] for slot in _slots(trainer, 3)] == ["0,1", "2,3", "0,1"]
    assert [slot["GPUS"] for slot in _slots(trainer)] == ["0,1", "2,3"]


def test_no_cell_of_the_table_is_a_formula(tmp_path: Path) -> None:
    """`+callbacks.x=1` is what people type, and what a spreadsheet would compute."""
    write_csv([Job(["+a=1"], tmp_path / "a", "x", label="+a=1")], tmp_path)
    (row,) = csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines())
    assert row["job"] == "'+a=1"
