"""Folders of transfer.py that cannot be used: left out with the reason, and the others are reported."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from reporting.synthetic import change_summary
from reporting.transfer.made_transfer import write_transfer

from unseen.reporting.build import build_report
from unseen.reporting.collect import collect

OTHERS = {"b": -0.1, "c": -0.2}


def made(folder: Path) -> Path:
    return write_transfer(folder, "clip", "a", "full", others=OTHERS)


def left_out(root: Path) -> tuple[str, str]:
    (found,) = collect([root]).left_out
    return found.status, found.reason


def test_a_good_one(tmp_path: Path) -> None:
    made(tmp_path / "a")
    (run,) = collect([tmp_path]).transfer_runs
    assert run.values["a", "iimm"] == 0.3
    assert run.values["other tasks", "mean_change"] == pytest.approx(-0.15)
    assert (run.facts.technique, run.others, run.of_study.seeds) == ("full", ("b", "c"), (0, 0))


def test_embeddings_of_a_file_have_no_accuracy(tmp_path: Path) -> None:
    folder = made(tmp_path / "a")
    heading, *rows = (folder / "scores.csv").read_text().splitlines()
    measured = [row for row in rows if ",full," not in row and "accuracy" not in row]
    (folder / "scores.csv").write_text("\n".join([heading, *measured]) + "\n")
    change_summary(folder, technique="none")
    (run,) = collect([tmp_path]).transfer_runs
    assert (run.facts.technique, run.others, run.values["a", "iimm"]) == ("none", (), 0.3)


@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        ({"seed": "x"}, "unreadable", "seed is 'x'"),
        ({"composed": 1}, "unreadable", "composed is 1"),
        ({"model": "\x1b[31m"}, "unreadable", "model is"),
        ({"model": "siglip"}, "unreadable", "it has rows of clip, and summary.json is of siglip"),
        ({"technique": "lora"}, "unreadable", "it has rows of full, and summary.json is of lora"),
        ({"data": "z"}, "unreadable", "it has no row of z"),
        ({"trainable_parameters": -1}, "unreadable", "trainable_parameters is -1"),
        ({"kind": ["transfer"]}, "unreadable", ""),
        ({"status": "failed", "reason": "no images"}, "failed", "no images (transfer)"),
        ({"status": "running"}, "died", "(transfer)"),
        ({"schema": 99}, "refused", "has schema 99"),
    ],
)
def test_a_wrong_fact_is_named(tmp_path: Path, facts: dict[str, object], status: str, words: str) -> None:
    change_summary(made(tmp_path / "a"), **facts)
    found = left_out(tmp_path)
    assert found[0] == status
    assert words in found[1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("clip,a,,iimm,0.4,,,10,,", "iimm of a is there twice"),
        ("siglip,a,,other,0.4,,,10,,", "rows of siglip"),
        ("clip,d,,accuracy_before,1.5,,,10,,", "an accuracy outside of 0..1"),
        ("clip,d,,accuracy_before,,,,10,,", "accuracy_before of d has no value"),
        ("clip,d,full,accuracy_change,0.1,,,10,,", "a change of d without both accuracies"),
        ("clip,a,,other,inf,,,10,,", "a number that is not finite"),
        ("clip,a,,other,0.4,0.5,0.3,10,,", "ends before it begins"),
        ("clip,a,,other,0.4,,,-1,,", "n is '-1'"),
        ("clip,a,,other,0.4,,,10,,101", "a percentile outside of 0..100"),
        ("clip,a,,other,x,,,10,,", "value is 'x'"),
        ("clip,a\x1b,,other,0.4,,,10,,", "task is"),
        ("clip,a,,other", "lacks value"),
        ("clip,a," + "y" * 200_000 + ",other,0.4,,,10,,", "field larger"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, line: str, words: str) -> None:
    with (made(tmp_path / "a") / "scores.csv").open("a") as file:
        file.write(line + "\n")
    status, reason = left_out(tmp_path)
    assert status == "unreadable"
    assert reason.startswith("scores.csv: ")
    assert words in reason


@pytest.mark.parametrize(
    ("row", "instead", "words"),
    [
        ("a,full,accuracy_after,0.7", "a,full,accuracy_after,0.8", "accuracy_change of a is 0.2, by its accuracies"),
        ("a,full,gain,0.3999", "a,full,gain,0.6999", "gain of a is 0.7, by its accuracies it is 0.4"),
        ("other tasks,full,mean_change,-0.15", "other tasks,full,mean_change,-0.05", "mean_change is -0.05"),
        ("a,full,accuracy_after,0.7", "a,full,accuracy_past,0.7", "it lacks accuracy_after of a"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_agree(tmp_path: Path, row: str, instead: str, words: str) -> None:
    path = made(tmp_path / "a") / "scores.csv"
    text = path.read_text()
    assert row in text
    path.write_text(text.replace(row, instead))
    assert words in left_out(tmp_path)[1]


@pytest.mark.parametrize("value", [".nan", ".inf", "1" + "0" * 400, "[1, [.nan]]"])
def test_settings_that_cannot_be_compared(tmp_path: Path, value: str) -> None:
    path = made(tmp_path / "a") / "config.yaml"
    path.write_text(path.read_text().replace("{", f'{{"x": {value}, ', 1))
    assert "config.yaml: it has a number that is not finite, or above 1e12" in left_out(tmp_path)[1]


def test_settings_without_held_out_accuracies(tmp_path: Path) -> None:
    change_summary(made(tmp_path / "a"), held_out_accuracies=None)
    assert "lacks held_out_accuracies" in left_out(tmp_path)[1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("clip,a,full,0.5,a,task,0.6,,,0.1,,,10", "task at alpha 0.5 is there twice"),
        ("clip,a,full,1.5,a,task,0.6,,,0.1,,,10", "alpha is '1.5'"),
        ("clip,a,full,nan,a,task,0.6,,,0.1,,,10", "alpha is 'nan'"),
        ("clip,a,full,0.1,a,task,1.6,,,0.1,,,10", "accuracy is '1.6'"),
        ("clip,a,lora,0.1,a,task,0.6,,,0.1,,,10", "rows of clip, a, lora, and the run is clip, a, full"),
        ("clip,a,full,0.1,a,any,0.6,,,0.1,,,10", "role is 'any'"),
        ("clip,a,full,0.1", "lacks tested_on"),
    ],
)
def test_a_wrong_row_of_a_curve_is_named(tmp_path: Path, line: str, words: str) -> None:
    folder = write_transfer(tmp_path / "a", "clip", "a", "full", alphas=(0, 0.5, 1))
    with (folder / "interpolation.csv").open("a") as file:
        file.write(line + "\n")
    status, reason = left_out(tmp_path)
    assert (status, reason.partition(": ")[0]) == ("unreadable", "interpolation.csv")
    assert words in reason


@pytest.mark.parametrize("name", ["scores.csv", "config.yaml", "summary.json"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    (made(tmp_path / "a") / name).unlink()
    status, reason = left_out(tmp_path)
    assert status == ("unfinished" if name == "summary.json" else "unreadable")
    assert name in reason


def test_odd_folders_do_not_spoil_the_page(tmp_path: Path) -> None:
    pattern = made(tmp_path / "runs" / "good")
    for number in range(30):
        rng, folder = random.Random(number), tmp_path / "runs" / f"odd{number:02d}"
        shutil.copytree(pattern, folder)
        path = folder / ("summary.json", "scores.csv", "config.yaml")[number % 3]
        content = bytearray(path.read_bytes())
        match number % 5:
            case 0:
                path.write_bytes(content[: rng.randrange(len(content))])
            case 1 | 2:
                for _ in range(1 + 10 * (number % 2)):
                    content[rng.randrange(len(content))] = rng.randrange(256)
                path.write_bytes(content)
            case 3:
                path.unlink()
                path.symlink_to("/dev/zero")
            case _:
                path.unlink()
                os.mkfifo(path)
    built = build_report([tmp_path / "runs"], tmp_path / "out")
    text = built.page.read_text(encoding="utf-8")
    assert built.runs + built.left_out == 31
    assert built.runs >= 1
    assert text.count("<script>") == 2


def test_the_newest_of_a_configuration_counts(tmp_path: Path) -> None:
    for day in (1, 2):
        change_summary(
            made(tmp_path / f"day{day}"), written=f"2026-11-0{day}T10:00:00+00:00", config_hash="abc"
        )
    found = collect([tmp_path])
    assert [Path(run.name).name for run in found.transfer_runs] == ["day2"]
    assert [one.status for one in found.left_out] == ["duplicate"]
