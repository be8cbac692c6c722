"""What a sweep knows of its jobs before and after they ran; the commands' own tests run real ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from unseen.runs.cli import job_folder
from unseen.runs.console import aggregate
from unseen.runs.sweep import Job, find_runs, label_jobs, record_end, settle


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
    settle(jobs, find_runs([tmp_path]))
    assert (jobs[0].state, jobs[0].folder) == ("done", done)


@pytest.mark.parametrize(
    ("status", "checkpoint", "state"),
    [
        ("running", True, "half-done"),
        ("failed", True, "half-done"),
        ("failed", False, "failed"),
        ("running", False, "missing"),
    ],
)
def test_how_far_a_job_came(tmp_path: Path, status: str, checkpoint: bool, state: str) -> None:
    path = folder(tmp_path, "a", status=status, config_hash="x", checkpoint=checkpoint)
    jobs = [job("x"), job("another")]
    settle(jobs, find_runs([tmp_path]))
    assert [(one.state, one.folder) for one in jobs] == [(state, path), ("missing", Path("nowhere"))]


def test_a_half_done_job_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    half = Job(["seed=0", "ckpt_path=old"], tmp_path, "x", state="half-done")
    assert half.arguments() == [
        "seed=0", f"hydra.run.dir='{tmp_path}'", f"ckpt_path='{tmp_path}/checkpoints/last.ckpt'",
    ]  # fmt: skip


def test_a_broken_summary_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "summary.json").write_text("{")
    assert find_runs([tmp_path]) == {}


def test_a_job_that_could_not_say_why_it_ended(tmp_path: Path) -> None:
    killed = Job([], folder(tmp_path, "a", status="running", g=0.5), "x")
    record_end(killed, -9)
    assert killed.summary()["status"] == "failed"
    assert "SIGKILL" in killed.summary()["reason"]
    assert killed.summary()["g"] == 0.5
    silent = Job([], tmp_path / "b", "y")
    silent.folder.mkdir()
    (silent.folder / "console.log").write_text("first\nerror: the last word\n\n")
    record_end(silent, 1)
    assert silent.summary()["reason"] == "ended with exit code 1: error: the last word"


def test_jobs_are_named_by_what_differs() -> None:
    jobs = [Job(["model=vit", "seed=0", "a=1"], Path(), ""), Job(["model=swin", "seed=0", "a=1"], Path(), "")]
    label_jobs(jobs)
    assert [one.label for one in jobs] == ["model=vit", "model=swin"]
    assert job_folder("data.root=/a/b c,seed=0") == "data.root--a-b-c_seed-0"
    assert len(job_folder("x" * 500)) < 140


def test_means_over_seeds_by_hand() -> None:
    """g .2 and .4: mean .3, population standard deviation .1; the failed seed does not count."""

    def row(seed: int, g: float | None, status: str = "finished", model: str = "vit") -> dict[str, object]:
        return {
            "job": f"model={model} seed={seed}", "status": status, "model": model, "data": "digits", "size": "demo",
            "seen_accuracy": 0.9, "g": g, "best_layer": 3, "best_layer_name": "blocks.2",
        }  # fmt: skip

    groups = aggregate([row(0, 0.2), row(1, 0.4), row(2, None, "failed"), row(0, 0.7, model="swin")])
    assert [(one["model"], one["n"], one["g"]) for one in groups] == [
        ("vit", 2, "0.300 ± 0.100"),
        ("swin", 1, "0.700"),
    ]
    assert groups[0]["best_layer"] == "3 (blocks.2) ×2"
