"""biases.py typed as a user types it, on small stand-ins of the public layouts."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Ran, run_command, start_command

from unseen.reporting.biases.section import bias_section
from unseen.reporting.collect import collect

# random weights: what is measured is the plumbing
RANDOM = ("model=resnet", "size=demo", "model.pretrained=false")


def biases(*arguments: str, pictures: Path, logs: Path, **options: str) -> Ran:
    return run_command("biases.py", *arguments, f"paths.data_dir={pictures}", logs=logs, **options)


def rows(folder: Path, name: str = "scores.csv") -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def measured(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    ran = biases(
        *RANDOM,
        "measures=[shape_bias,low_frequency]",
        pictures=pictures,
        logs=tmp_path_factory.mktemp("logs"),
    )
    assert ran.code == 0, ran.out + ran.err
    return ran


def test_values_are_means_of_the_observations(measured: Ran) -> None:
    found = {(row["measure"], row["images"]): row for row in rows(measured.folder)}
    assert {"accuracy", "shape_bias", "low_frequency_bias"} == {measure for measure, _ in found}
    with np.load(measured.folder / "observations" / "accuracy@silhouettes.npz") as file:
        right = file["numbers"][:, 0]
    assert float(found["accuracy", "silhouettes"]["value"]) == pytest.approx(right.mean())
    assert found["accuracy", "silhouettes"]["n"] == "6"
    with np.load(measured.folder / "observations" / "shape_bias@cue_conflict.npz") as file:
        shape, texture = file["numbers"].sum(axis=0)
    if shape + texture:
        assert float(found["shape_bias", "cue_conflict"]["value"]) == pytest.approx(shape / (shape + texture))
    conditions = {row["condition"] for row in rows(measured.folder, "conditions.csv")}
    assert {"clean", "low_pass_0.1", "shape", "texture"} <= conditions
    summary = measured.summary()
    assert (summary["kind"], summary["status"]) == ("biases", "finished")


def test_the_report_compares_networks_over_the_same_images(
    measured: Ran, pictures: Path, tmp_path: Path
) -> None:
    other = biases(*RANDOM, "seed=1", "measures=[shape_bias]", pictures=pictures, logs=tmp_path)
    assert other.code == 0, other.err
    found = collect([measured.folder, other.folder])
    assert found.left_out == ()
    table = bias_section(found.bias_runs).tables["bias_differences"]
    assert {row.cells[2:5] for row in table.rows} == {
        ("accuracy", "cue_conflict", 9), ("accuracy", "silhouettes", 6), ("shape_bias", "cue_conflict", 9),
    }  # fmt: skip


def test_what_is_missing_is_named(measured: Ran) -> None:
    assert "edges is left out" in measured.err
    assert "cue_conflict: 9 images, and the public set has 1,280" in measured.err
    assert "edges" in measured.summary()["missing"]


def test_batch_size_changes_no_number(measured: Ran, pictures: Path, tmp_path: Path) -> None:
    again = biases(
        *RANDOM,
        "measures=[shape_bias,low_frequency]",
        "batch_size=4",
        pictures=pictures,
        logs=tmp_path,
    )
    assert rows(again.folder) == rows(measured.folder)


def test_own_test_images_give_the_accuracy_of_the_run(tiny_run: Ran, tmp_path: Path) -> None:
    checkpoint = tiny_run.folder / "checkpoints" / "last.ckpt"
    ran = run_command("biases.py", f"ckpt_path={checkpoint}", "measures=[low_frequency]", logs=tmp_path)
    assert ran.code == 0, ran.err
    found = {row["measure"]: row for row in rows(ran.folder)}
    assert float(found["accuracy"]["value"]) == pytest.approx(tiny_run.summary()["seen_accuracy"])
    assert ran.summary()["g"] == tiny_run.summary()["g"]
    assert found["accuracy"]["model"] == f"resnet@{tiny_run.folder.name}"
    assert "left out" not in ran.err
    few = run_command(
        "biases.py", f"ckpt_path={checkpoint}", "measures=[low_frequency]", "limit=20", logs=tmp_path
    )
    assert {row["n"] for row in rows(few.folder)} == {"20"}


@pytest.mark.parametrize("typed", ["data.unseen=[0,1,2]", "data=digits data.unseen=[0,1,2]"])
def test_images_of_other_classes_are_no_test_of_a_network(typed: str, tiny_run: Ran, tmp_path: Path) -> None:
    checkpoint = tiny_run.folder / "checkpoints" / "last.ckpt"
    line = (f"ckpt_path={checkpoint}", "measures=[low_frequency]", *typed.split())
    ran = run_command("biases.py", *line, logs=tmp_path)
    assert ran.code == 1
    assert "the network was trained on other classes" in ran.err


def test_images_that_were_trained_on_are_no_test(tiny_run: Ran, tmp_path: Path) -> None:
    checkpoint = tiny_run.folder / "checkpoints" / "last.ckpt"
    line = (
        f"ckpt_path={checkpoint}",
        "measures=[low_frequency]",
        "data.test_fraction=0.5",
        "data.test_size=null",
    )
    ran = run_command("biases.py", *line, logs=tmp_path)
    assert ran.code == 1
    assert "of the images were trained on" in ran.err


@pytest.mark.slow
def test_a_killed_run_goes_on_in_its_folder(measured: Ran, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    line = [
        *RANDOM, "measures=[shape_bias,low_frequency]", f"paths.data_dir={pictures}", f"hydra.run.dir={folder}",
    ]  # fmt: skip
    process = start_command("biases.py", *line, logs=tmp_path, said=tmp_path / "said")
    first = folder / "observations" / "shape_bias@cue_conflict.npz"
    deadline = time.monotonic() + 120
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    stamp = first.stat().st_mtime_ns
    ran = run_command("biases.py", *line, logs=tmp_path)
    assert ran.code == 0, ran.err
    assert first.stat().st_mtime_ns == stamp  # not measured again
    assert rows(folder) == rows(measured.folder)


@pytest.mark.slow
def test_an_interrupted_measure_goes_on_within_itself(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    line = [
        *RANDOM, "measures=[critical_band]", "batch_size=1", f"paths.data_dir={pictures}", f"hydra.run.dir={folder}",
    ]  # fmt: skip
    process = start_command("biases.py", *line, logs=tmp_path, said=tmp_path / "said")
    deadline = time.monotonic() + 120
    # the accuracies; what follows is the critical band
    while "[2/3]" not in process.out + process.err and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait() == 130
    ran = run_command("biases.py", *line, logs=tmp_path)
    assert ran.code == 0, ran.err
    whole = run_command("biases.py", *line[:-1], logs=tmp_path / "whole")
    assert rows(folder) == rows(whole.folder)


def test_a_sweep_shows_values_by_network(pictures: Path, tmp_path: Path) -> None:
    line = ("-m", "model=resnet,poolformer", *RANDOM[1:], "measures=[shape_bias]", "limit=3")
    ran = biases(*line, pictures=pictures, logs=tmp_path)
    assert ran.code == 0, ran.err
    assert "values by job" in ran.out
    (table,) = tmp_path.rglob("sweep.csv")
    for job, folder in zip(rows(table.parent, table.name), sorted(ran.folders), strict=True):
        (value,) = [
            row["value"]
            for row in rows(folder)
            if (row["measure"], row["images"]) == ("accuracy", "silhouettes")
        ]
        assert float(job["accuracy@silhouettes"]) == float(value)
    assert len(ran.folders) == 2
    again = biases(*line, "resume=true", "plan=true", pictures=pictures, logs=tmp_path)
    assert "0 of 2 jobs would run" in again.out


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (("measures=[shape_bas]",), "measures=shape_bas is not known (did you mean shape_bias?)"),
        (("limit=0",), "limit=0 must be greater than or equal to 1"),
        (("images=silhouets",), "images=silhouets is not a set of images (did you mean silhouettes?)"),
        (("model.optimizer.lr=1",), "model.optimizer.lr is not read by biases.py"),
        (("data=digits",), "data is not read by biases.py: the images of data= are measured with ckpt_path="),
        (("batchsize=4",), "batchsize"),
        (("model.checkpoint=nowhere.pth",), "model.checkpoint=nowhere.pth is not a file"),
        (("ckpt_path=nowhere.ckpt",), "nowhere.ckpt"),
        (
            ("study=unpublished",),
            "study=unpublished is not known (did you mean published?); choose one of b1",
        ),
    ],
)
def test_mistakes_get_a_sentence(
    typed: tuple[str, ...], sentence: str, pictures: Path, tmp_path: Path
) -> None:
    ran = biases(*RANDOM, *typed, pictures=pictures, logs=tmp_path)
    assert ran.code == 1
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error:")]
    assert sentence in line


def test_nothing_to_measure_with_is_told(tmp_path: Path) -> None:
    ran = biases(*RANDOM, pictures=tmp_path / "nothing", logs=tmp_path)
    assert ran.code == 1
    assert "no images are there to measure with" in ran.err
    (summary,) = (json.loads(path.read_text("utf-8")) for path in tmp_path.rglob("summary.json"))
    assert (summary["status"], summary["kind"], summary["data"]) == ("failed", "biases", "benchmarks")


def test_nobody_else_reads_its_settings(train: Callable[..., Ran]) -> None:
    ran = train("+limit=3")
    assert ran.code == 1
    assert "limit is not a setting" in ran.err


def test_a_study_of_too_few_networks_is_refused(measured: Ran, tmp_path: Path) -> None:
    ran = run_command("biases.py", "study=own", f"runs={measured.logs}", logs=tmp_path)
    assert ran.code == 1
    assert "needs 4 of them at least, and there are 1: resnet" in ran.err
    ran = run_command("biases.py", "study=own", "limit=3", logs=tmp_path)
    assert "limit is not read by study=own" in ran.err
