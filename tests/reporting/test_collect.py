"""Reading run folders: whole ones, broken ones, old and new ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import Made, make_run, make_scores

from unseen.reporting.collect import collect
from unseen.reporting.run_files import arrays_of
from unseen.scores import Score, ScoreTable


def statuses(root: Path) -> dict[str, tuple[str, str]]:
    return {Path(one.name).name: (one.status, one.reason) for one in collect([root]).left_out}


def test_arrays_hold_the_rows(tmp_path: Path) -> None:
    made = Made(model="cvt", controls=True)
    run = collect([make_run(tmp_path / "a", made)]).runs[0]
    table = make_scores(made)
    assert run.scores.steps.tolist() == [0, 100, 200]
    assert run.scores.layer_names == ("blocks.0", "blocks.1", "blocks.2")
    assert run.scores.depths.tolist() == [0, 0.5, 1]
    assert run.scores.layers["unseen", "nmi"].shape == (3, 3)
    for row in table.at(100, "unseen", "nn1"):
        found = run.scores.pixels if row.layer < 0 else run.scores.layers
        place = (1,) if row.layer < 0 else (1, row.layer)
        assert found["unseen", "nn1"][place] == row.value
    head = [row.value for row in table if row.layer == -2]
    assert run.scores.accuracy.tolist() == head  # layer -2 is the head, and no layer
    best = table.generalization()
    assert best is not None
    assert run.scores.layers["unseen", "nmi"][-1].max() == best.g


def test_accuracy_of_the_last_step_comes_from_the_summary(tmp_path: Path) -> None:
    run = collect([make_run(tmp_path / "a", Made(model="cvt"))]).runs[0]
    assert np.isnan(run.scores.accuracy[:2]).all()
    assert run.scores.accuracy[2] == run.facts.seen_accuracy


def test_what_cannot_be_used_is_listed_with_its_reason(tmp_path: Path) -> None:
    make_run(tmp_path / "good", Made(model="cvt"))
    make_run(tmp_path / "failed", Made(model="cvt", seed=1, status="failed", reason="no space left"))
    make_run(tmp_path / "half", Made(model="cvt", seed=2, status="running"))
    make_run(tmp_path / "newer", Made(model="cvt", seed=3, schema=7))
    make_run(tmp_path / "nameless", Made(model="cvt", seed=4, schema=None))
    make_run(tmp_path / "cut", Made(model="cvt", seed=5))
    text = (tmp_path / "cut" / "scores.csv").read_text()
    (tmp_path / "cut" / "scores.csv").write_text(text[: len(text) // 2])
    make_run(tmp_path / "columns", Made(model="cvt", seed=6))
    (tmp_path / "columns" / "scores.csv").write_text("a,b\n1,2\n")
    make_run(tmp_path / "no_scores", Made(model="cvt", seed=7))
    (tmp_path / "no_scores" / "scores.csv").unlink()
    make_run(tmp_path / "json", Made(model="cvt", seed=8))
    (tmp_path / "json" / "summary.json").write_text("{")
    make_run(tmp_path / "list", Made(model="cvt", seed=9))
    (tmp_path / "list" / "summary.json").write_text("[]")
    make_run(tmp_path / "yaml", Made(model="cvt", seed=10))
    (tmp_path / "yaml" / "config.yaml").write_text("a: [1")
    make_run(tmp_path / "silent", Made(model="cvt", seed=11))
    (tmp_path / "silent" / "summary.json").unlink()
    make_run(tmp_path / "binary", Made(model="cvt", seed=12))
    (tmp_path / "binary" / "scores.csv").write_bytes(b"\xff\xfe\x00")
    found = collect([tmp_path])
    assert [Path(run.name).name for run in found.runs] == ["good"]
    message = statuses(tmp_path)
    assert message["failed"] == ("failed", "no space left")
    assert message["half"][0] == "died"
    assert message["newer"][0] == "refused"
    assert "has schema 7, this report reads schema 1" in message["newer"][1]
    assert "has no schema" in message["nameless"][1]
    for name in ("cut", "columns", "no_scores", "json", "list", "yaml", "binary"):
        assert message[name][0] == "unreadable", name
        assert message[name][1]
    assert message["silent"] == ("unfinished", "there are scores but no summary.json")
    assert len(message) == 12


def test_a_job_that_died_before_it_wrote_its_schema_is_a_failure(tmp_path: Path) -> None:
    # what a sweep writes for a job that was killed at once
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"status": "failed", "reason": "killed by SIGKILL"}))
    assert statuses(tmp_path)["job"] == ("failed", "killed by SIGKILL")


def test_the_newest_of_one_configuration_is_used(tmp_path: Path) -> None:
    made = Made(model="cvt")
    make_run(tmp_path / "b_older", replace(made, written="2026-01-01T00:00:00+00:00"))
    make_run(tmp_path / "a_newer", replace(made, written="2026-02-01T00:00:00+00:00"))
    make_run(
        tmp_path / "c_failed", replace(made, status="failed", reason="x", written="2026-03-01T00:00:00+00:00")
    )
    found = collect([tmp_path])
    assert [Path(run.name).name for run in found.runs] == ["a_newer"]
    message = statuses(tmp_path)
    assert message["b_older"][0] == "duplicate"
    assert "a_newer" in message["b_older"][1]


def test_folders_are_found_at_any_depth_and_once(tmp_path: Path) -> None:
    make_run(tmp_path / "multiruns" / "today" / "job", Made(model="cvt"))
    make_run(tmp_path / "wandb" / "run", Made(model="cvt", seed=1))  # a logger's own copy
    make_run(tmp_path / ".hidden", Made(model="cvt", seed=2))
    assert len(collect([tmp_path, tmp_path / "multiruns"]).runs) == 1


def test_evaluations_are_not_mistaken_for_training(tmp_path: Path) -> None:
    for name, script in (("train", "src/train.py"), ("eval", "src/eval.py")):
        folder = make_run(tmp_path / name, Made(model="cvt"))
        facts = json.loads((folder / "summary.json").read_text())
        facts["command"][0] = script
        (folder / "summary.json").write_text(json.dumps(facts))
    found = collect([tmp_path])
    assert sorted(run.facts.entry for run in found.runs) == ["eval", "train"]


def row(layer: int, probe: str = "nmi", split: str = "unseen") -> Score:
    return Score(0, 0, split, layer, "x", None, probe, 0.5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "expected layers 0, 1"),
        ([row(-1)], "expected layers 0, 1"),
        ([row(0), row(2)], r"found \[0, 2\]"),
        ([row(0, "nn1")], "no NMI of the unseen classes"),
    ],
)
def test_tables_that_make_no_sense(rows: list[Score], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arrays_of(ScoreTable(rows))
