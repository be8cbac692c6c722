"""`python src/train.py -m ...` as people type it, cut small."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import BARE, ROOT, TINY, Ran, environment, run_command, start_command

pytestmark = pytest.mark.slow
ONE_EVALUATION = ("trainer.max_steps=2", *BARE)  # where only that jobs run is looked at
OF_ONE_AND_TWO = ("model=resnet", "seed=0", *TINY, "trainer=ddp_cpu,cpu")


def table(ran: Ran) -> dict[str, dict[str, str]]:
    """The newest sweep.csv, by job."""
    path = max(ran.logs.rglob("sweep.csv"), key=lambda path: path.stat().st_mtime)
    with path.open() as file:
        return {row["job"]: row for row in csv.DictReader(file)}


def scores_of(ran: Ran, job: str) -> str:
    """What scores.csv of a job holds."""
    (sweep,) = ran.logs.rglob("sweep.csv")
    return (sweep.parent / table(ran)[job]["folder"] / "scores.csv").read_text()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    ran = run_command(
        "train.py", "-m", "model=resnet,swin", "seed=0,1", *TINY, logs=tmp_path_factory.mktemp("sweep")
    )
    assert ran.code == 0, ran.out + ran.err
    return ran


def test_one_folder_a_job_and_tables_at_the_end(sweep: Ran) -> None:
    assert {folder.name for folder in sweep.folders} == {
        "model-resnet_seed-0", "model-resnet_seed-1", "model-swin_seed-0", "model-swin_seed-1",
    }  # fmt: skip
    rows = table(sweep)
    assert set(rows) == {
        "model=resnet seed=0",
        "model=resnet seed=1",
        "model=swin seed=0",
        "model=swin seed=1",
    }
    for folder in sweep.folders:
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["status"] == "finished"
        (row,) = (row for row in rows.values() if row["folder"] == folder.name)
        assert float(row["g"]) == summary["g"]
        assert f"g {summary['g']:.3f} at {summary['best_layer_name']}" in sweep.out
    assert "mean ± sample standard deviation over n seeds" in sweep.out


@pytest.mark.parametrize("typed", ["trainer.accelerator=cpu,tpu", "+trainer.profiler=simple,no-such"])
def test_what_only_the_libraries_can_refuse_is_told_before_the_first_job(typed: str, tmp_path: Path) -> None:
    ran = run_command("train.py", "-m", typed, *TINY, logs=tmp_path)
    assert ran.code == 1
    assert "no job of the sweep was started" in ran.err
    assert not list((tmp_path / "train" / "multiruns").iterdir())


def test_a_job_of_a_sweep_is_the_run_typed_alone(sweep: Ran, tiny_run: Ran) -> None:
    (folder,) = (folder for folder in sweep.folders if folder.name == "model-resnet_seed-0")
    assert (folder / "scores.csv").read_text() == (tiny_run.folder / "scores.csv").read_text()
    assert (
        json.loads((folder / "summary.json").read_text())["config_hash"] == tiny_run.summary()["config_hash"]
    )


def test_the_same_line_runs_only_what_is_missing(sweep: Ran) -> None:
    """Known by configuration, not by name; nothing finished is touched."""
    before = {folder: (folder / "summary.json").stat().st_mtime_ns for folder in sweep.folders}
    line = ("-m", "model=resnet", "seed=0,1,2", *TINY, "resume=true")
    planned = run_command("train.py", *line, "plan=true", logs=sweep.logs)
    assert planned.code == 0, planned.err
    assert "1 of 3 jobs would run" in planned.out
    assert len(planned.folders) == 4
    again = run_command("train.py", *line, logs=sweep.logs)
    assert again.code == 0, again.out + again.err
    assert len(again.folders) == 5
    assert {folder.parent for folder in again.folders} == {next(iter(before)).parent}
    assert {folder: (folder / "summary.json").stat().st_mtime_ns for folder in before} == before
    assert len(table(again)) == 3
    assert len(list((sweep.logs / "train" / "multiruns").iterdir())) == 1


def test_a_typed_sweep_folder_is_the_sweep(sweep: Ran) -> None:
    """Jobs of another sweep beside it are not taken over, and it is not deleted."""
    mine = sweep.logs / "train" / "multiruns" / "mine"
    line = ("-m", "model=resnet,swin", "seed=0,1", *TINY, f"hydra.sweep.dir={mine}", "plan=true")
    planned = run_command("train.py", *line, "resume=true", logs=sweep.logs)
    assert planned.code == 0, planned.err
    assert "4 of 4 jobs would run" in planned.out
    assert mine.is_dir()
    shutil.rmtree(mine)
    there = run_command("train.py", *line[:-2], f"hydra.sweep.dir={sweep.folder.parent}", logs=sweep.logs)
    assert there.code == 1
    assert "add resume=true to keep them" in there.err


def test_each_job_scores_the_checkpoint_that_was_typed(sweep: Ran, tmp_path: Path) -> None:
    trained = {
        folder.name: json.loads((folder / "summary.json").read_text())
        for folder in sweep.folders
        if "seed-0" in folder.name
    }
    paths = ",".join(str(sweep.folder.parent / name / "checkpoints" / "last.ckpt") for name in trained)
    ran = run_command("eval.py", "-m", f"ckpt_path={paths}", "probe.n_init=1", logs=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    found = [json.loads((folder / "summary.json").read_text()) for folder in ran.folders]
    keys = ("model", "g", "steps", "seen_accuracy")
    assert [[one[key] for key in keys] for one in found] == [
        [one[key] for key in keys] for one in trained.values()
    ]
    assert len(table(ran)) == 2


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("seed=0,abc", "seed='abc'"),
        ("ckpt_path=/nowhere.ckpt", "ckpt_path=/nowhere.ckpt is not a file"),
        ("seed=range(0,0)", "seed=range(0,0) holds nothing to sweep over"),
    ],
)
def test_a_job_that_cannot_be_is_told_before_the_first_one_starts(
    typed: str, told: str, tmp_path: Path
) -> None:
    ran = run_command("train.py", "-m", "model=resnet", *TINY, typed, logs=tmp_path)
    assert ran.code == 1
    assert told in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.*"))  # nothing half-made


def test_failing_jobs_are_named_and_the_others_finish(tmp_path: Path) -> None:
    ran = run_command(
        "train.py", "-m", "model=resnet", *TINY, *ONE_EVALUATION, "+callbacks.saboteur.step=1",
        "+callbacks.saboteur._target_=tests.cli.saboteur.Saboteur",
        "+callbacks.saboteur.kind=none,raise,kill,memory,diverge", logs=tmp_path, PYTHONPATH=str(ROOT),
    )  # fmt: skip
    assert ran.code == 1
    rows = {job.split("kind=")[1]: row for job, row in table(ran).items()}
    assert {kind: row["status"] for kind, row in rows.items()} == {
        "none": "finished", "raise": "failed", "kill": "failed", "memory": "failed", "diverge": "failed",
    }  # fmt: skip
    assert "the dog ate the gradients" in rows["raise"]["reason"]
    assert "SIGKILL" in rows["kill"]["reason"]
    assert "memory" in rows["memory"]["reason"].lower()
    assert "NaN" in rows["diverge"]["reason"]
    told = " ".join(ran.out.split())
    assert all(" ".join(row["reason"].split()) in told for row in rows.values() if row["reason"])
    assert "4 of 5 jobs failed" in ran.err


def test_a_job_that_cannot_be_fails_alone(tmp_path: Path) -> None:
    """A network that cannot take the size; data that need a network, which their jobs alone must miss."""
    ran = run_command(
        "train.py", "-m", "model=vit,resnet", "data=digits,calligraphy", "data.image_size=36", *TINY[1:],
        *ONE_EVALUATION, logs=tmp_path, https_proxy="http://127.0.0.1:9", UNSEEN_DATA_DIR=str(tmp_path / "data"),
    )  # fmt: skip
    assert ran.code == 1
    rows = table(ran)
    assert [job for job, row in rows.items() if row["status"] == "finished"] == [
        "model=resnet data=digits"
    ], ran.out
    assert {row["status"] for row in rows.values()} == {"finished", "failed"}
    assert "data.image_size=36" in rows["model=vit data=digits"]["reason"]
    assert "data.root=" in rows["model=resnet data=calligraphy"]["reason"]
    assert "3 of 4 jobs failed" in ran.err


def test_two_sweeps_that_go_on_at_once_run_each_job_once(sweep: Ran, tmp_path: Path) -> None:
    """Both find the folder of the first sweep; which of them runs a job does not matter."""
    shutil.copytree(sweep.logs, tmp_path, dirs_exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")}
    typed = ("-m", "model=resnet", *TINY, "seed=0,7,8", "resume=true")
    sweeps = [
        start_command("train.py", *typed, logs=tmp_path, said=tmp_path / "said" / str(number))
        for number in range(2)
    ]
    assert [sweep.wait() for sweep in sweeps] == [0, 0], [sweep.out + sweep.err for sweep in sweeps]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    new = [path for path in tmp_path.rglob("summary.json") if path not in before]
    summaries = [json.loads(path.read_text()) for path in new]
    assert sorted(summary["seed"] for summary in summaries) == [7, 8]
    assert {summary["status"] for summary in summaries} == {"finished"}
    assert {path.parent.parent for path in new} == {next(iter(before)).parent.parent}
    for path in new:
        log = (path.parent / "console.log").read_text()
        assert log.count("files in") == 1, log  # one process ran it, and nobody ran it again


@pytest.mark.parametrize("state", [{}, {"UNSEEN_CONTINUE": "1"}])
def test_a_job_that_another_sweep_has_finished_meanwhile_is_left(
    state: dict[str, str], tiny_run: Ran, tmp_path: Path
) -> None:
    """When this sweep looked, it was unfinished; its process comes too late."""
    folder = tmp_path / "job"
    shutil.copytree(tiny_run.folder, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.csv")} | {
        path: path.read_bytes() for path in folder.glob("summary.json")
    }
    ran = run_command(
        "train.py",
        "model=resnet",
        "seed=0",
        *TINY,
        f"hydra.run.dir={folder}",
        logs=tmp_path,
        UNSEEN_JOB="1",
        **state,
    )
    assert ran.code == 1
    assert "finished" in ran.err
    assert {path: path.read_bytes() for path in before} == before


@pytest.fixture(scope="module")
def of_a_cluster(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Jobs of two processes and of one, by the launcher that submits jobs."""
    ran = run_command(
        "train.py",
        "-m",
        "hydra/launcher=slurm_local",
        *OF_ONE_AND_TWO,
        logs=tmp_path_factory.mktemp("cluster"),
    )
    assert ran.code == 0, ran.out + ran.err
    return ran


def test_killing_the_sweep_kills_its_jobs_and_the_same_line_finishes(
    tiny_run: Ran, of_a_cluster: Ran, tmp_path: Path
) -> None:
    """A job of two processes, killed, goes on; after it, one of one process is as if typed alone."""
    logs = tmp_path / "killed"
    line = ("-m", *OF_ONE_AND_TWO)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src/train.py"), *line], cwd=ROOT, env=environment(logs),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_for(logs, "last.ckpt")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1)
    assert not still_running(str(logs))
    again = run_command("train.py", *line, "resume=true", logs=logs)
    assert again.code == 0, again.out + again.err
    scores = {folder.name: (folder / "scores.csv").read_text() for folder in again.folders}
    assert scores == {
        "trainer-ddp_cpu": scores_of(of_a_cluster, "trainer=ddp_cpu"),
        "trainer-cpu": (tiny_run.folder / "scores.csv").read_text(),
    }


def test_the_other_launcher_for_a_cluster_runs_ddp_jobs_too(tiny_run: Ran, of_a_cluster: Ran) -> None:
    assert {job: row["status"] for job, row in table(of_a_cluster).items()} == {
        "trainer=ddp_cpu": "finished", "trainer=cpu": "finished",
    }  # fmt: skip
    assert len(of_a_cluster.folders) == 2
    assert scores_of(of_a_cluster, "trainer=cpu") == (tiny_run.folder / "scores.csv").read_text()


def test_joblib_runs_ddp_jobs_too_and_tells_which_job_failed(tmp_path: Path) -> None:
    ran = run_command(
        "train.py", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer=ddp_cpu", "model=vit,resnet",
        "data.image_size=36", *TINY, *ONE_EVALUATION, logs=tmp_path,
    )  # fmt: skip
    assert ran.code == 1
    assert table(ran)["model=resnet"]["status"] == "finished"
    assert "data.image_size=36" in table(ran)["model=vit"]["reason"]
    assert "1 of 2 jobs failed" in ran.err
    assert len(ran.folders) == 2


def test_a_file_may_say_that_it_is_a_sweep(tmp_path: Path) -> None:
    """As Hydra's own documentation has it: hydra.mode and the lists, without -m."""
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 0,1\n"
    )
    typed = (
        f"--config-dir={tmp_path / 'own'}",
        "experiment=mine",
        "plan=true",
        "data=digits",
        "model=resnet",
    )
    ran = run_command("train.py", *typed, logs=tmp_path / "logs")
    assert "2 of 2 jobs would run" in ran.out, ran.out + ran.err


def test_another_launcher_starts_no_job_for_a_plan(tmp_path: Path) -> None:
    ran = run_command(
        "train.py", "-m", "hydra/launcher=joblib", "model=vit,resnet", "plan=true", *TINY, logs=tmp_path
    )
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "plan=true takes no hydra/launcher=joblib" in ran.err
    assert not list(tmp_path.rglob("*.yaml"))


def test_ddp_jobs_on_a_machine_without_gpus(tmp_path: Path) -> None:
    import torch

    if torch.cuda.device_count() >= 2:
        pytest.skip("this machine has the GPUs that the test does without")
    ran = run_command(
        "train.py", "-m", "trainer=ddp", "trainer.devices=2", "model=vit,swin", "seed=0", logs=tmp_path
    )
    assert ran.code == 1
    assert "torch sees no GPU on this machine" in ran.err
    assert not list((tmp_path / "train" / "multiruns").iterdir())


def test_no_cluster_here(tmp_path: Path) -> None:
    ran = run_command("train.py", "-m", "hydra/launcher=slurm", "seed=0,1", logs=tmp_path)
    assert ran.code == 1
    assert "there is no srun here" in ran.err.strip().splitlines()[-1]
    assert "Traceback" not in ran.err


def wait_for(logs: Path, name: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(logs.rglob(name)):
        time.sleep(0.02)


def still_running(mark: str) -> list[int]:
    """Processes whose environment names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(
    not (ROOT / ".venv" / ".installed").exists(), reason="make would install first: no .venv here"
)
def test_make_sweep_is_every_backbone_and_three_seeds(tmp_path: Path) -> None:
    make = ["make", "--no-print-directory", "--assume-old=.venv/.installed"]  # or it might install first
    options: dict[str, Any] = {
        "cwd": ROOT,
        "env": environment(tmp_path),
        "capture_output": True,
        "text": True,
    }
    plain = subprocess.run([*make, "--dry-run", "sweep"], check=True, **options).stdout.split()
    models, seeds = "model=resnet,vit,swin,pvt,cvt,poolformer,convnext", "seed=0,1,2"
    assert plain[1:] == ["src/train.py", "-m", models, seeds, "resume=true"]
    done = subprocess.run(
        [*make, "sweep", "ARGS=plan=true", "EXPERIMENT=calligraphy"], check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "21 of 21 jobs would run" in done.stdout
    assert "model=poolformer seed=2" in done.stdout


def test_several_class_splits_in_one_sweep(tmp_path: Path) -> None:
    typed = ("data=digits", "data.unseen=[1,2],[3,4,5]", "data.split_seed=0,1", "plan=true")
    ran = run_command("train.py", "-m", "model=resnet", *typed, logs=tmp_path)
    assert ran.code == 0, ran.err
    assert "4 of 4 jobs would run" in ran.out
    assert "data.unseen=[3,4,5] data.split_seed=1" in ran.out
