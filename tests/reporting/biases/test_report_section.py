"""Bias runs in the report: a section of its own, beside training runs or alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from reporting.biases.bias_runs import write_run, write_runs
from reporting.synthetic import Made, make_run

from unseen.reporting.biases.own_networks import bias_values
from unseen.reporting.build import build_report
from unseen.run_folder import SCHEMA

SHAPE = {("shape_bias", "cue_conflict"): 0.25, ("accuracy", "edges"): 0.5}


def test_beside_training_runs(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "trained", Made(model="cvt"))
    write_run(tmp_path / "runs" / "measured", "lite0", SHAPE, schema=SCHEMA, g=0.31)
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    text = made.page.read_text(encoding="utf-8")
    assert (made.runs, made.left_out) == (1, 0)
    assert "1 finished run in 1 configuration, 1 run of biases.py" in text
    assert '<section id="biases">' in text
    assert "1 network: lite0. A correlation over networks needs 4" in text
    # one bias of six was measured: its four panels, with the published networks behind
    assert text.count('data-spec="bias-shape_bias-') == 4
    assert "tv_resnet50" in text
    with (tmp_path / "out/tables/bias_values.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["network"], row["images"], row["measure"], row["value"]) for row in csv.DictReader(file)]
    assert rows == [
        ("lite0", "cue_conflict", "shape_bias", "0.25"),
        ("lite0", "edges", "accuracy", "0.5"),
        ("lite0", "unseen classes of its run", "g", "0.31"),
    ]


def test_alone_and_four(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 4, schema=SCHEMA)
    text = build_report([tmp_path / "runs"], tmp_path / "out").page.read_text(encoding="utf-8")
    assert "what there is are biases" in text
    assert "With 4 networks no rank correlation can have p ≤ .05" in text
    assert (tmp_path / "out/tables/own_correlations.csv").is_file()


def test_without_bias_runs_there_is_no_section(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "trained", Made(model="cvt"))
    text = build_report([tmp_path / "runs"], tmp_path / "out").page.read_text(encoding="utf-8")
    assert '<section id="biases">' not in text
    assert "tv_resnet50" not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"groups": {"id": 0.7}}, "are not as biases.py writes them"),
        ({"status": "failed", "reason": "no images"}, "no images"),
    ],
)
def test_what_cannot_be_used_is_listed(tmp_path: Path, change: dict[str, object], words: str) -> None:
    folder = write_run(tmp_path / "runs" / "measured", "lite0", SHAPE, schema=SCHEMA)
    facts = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (folder / "summary.json").write_text(json.dumps(facts | change), encoding="utf-8")
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    assert made.left_out == 1
    assert words in made.page.read_text(encoding="utf-8")


def test_two_folders_of_one_model_have_different_names(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, "lite0", SHAPE) for name in ("plain", "blurred")]
    assert {row[0] for row in bias_values(folders)} == {"lite0 (plain)", "lite0 (blurred)"}
