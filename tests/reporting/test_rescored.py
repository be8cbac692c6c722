"""A checkpoint that is scored again is no network of its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from reporting.synthetic import FOUND, LAYERS, Made, change_summary, make_run

from unseen.reporting.analysis import analyse
from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.groups import group_runs
from unseen.reporting.probe_facts import destroyed_images
from unseen.scores import Score, ScoreTable, destroyed_probe

MADE = Made(model="cvt", steps=(0, 100, 200))


def make_evaluation(folder: Path, trained: Path, *, step: int = 200, **changes: Any) -> Path:
    """Write the folder of `eval.py ckpt_path=... probe.noise_levels=[1.0]`: the training run's configuration hash."""
    make_run(folder, MADE)
    table = ScoreTable.read(folder / "scores.csv")
    rows = table.at(step)
    rows += [
        Score(step, 0, "unseen", layer, f"blocks.{layer}", layer / 2, destroyed_probe(1), 0.01 * (layer + 1))
        for layer in range(LAYERS["cvt"])
    ]
    ScoreTable(rows).write(folder / "scores.csv")
    change_summary(folder, *FOUND)
    checkpoint = str(trained / "checkpoints" / "last.ckpt")
    facts = json.loads((folder / "summary.json").read_text())
    facts |= {"steps": step, "checkpoint": checkpoint, "command": ["src/eval.py", f"ckpt_path={checkpoint}"]}
    (folder / "summary.json").write_text(json.dumps(facts | changes.get("facts", {})))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["ckpt_path"] = checkpoint
    config["model"]["backbone"]["pretrained"] = False
    config["probe"] |= {"noise_levels": [1.0], "at_start": True} | changes.get("probe", {})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_its_controls_stand_with_the_training_run(tmp_path: Path) -> None:
    trained = make_run(tmp_path / "train", MADE)
    make_evaluation(tmp_path / "eval", trained)
    collection = collect([tmp_path])
    assert len({run.facts.config_hash for run in collection.runs}) == 1
    assert sorted(run.entry for run in collection.runs) == ["eval", "train"]
    (group,), (left_out,) = group_runs(collection.runs)
    assert [run.entry for run in group.runs] == ["train"]
    assert group.label == "cvt"
    assert [(level, values.tolist()) for level, values in destroyed_images(group)] == [
        (1, [0.01, 0.02, 0.03])
    ]
    assert left_out.name.endswith("eval")
    assert "train again, which counts already; its nmi_noise_1 stand with that run" in left_out.reason


def test_a_checkpoint_of_an_earlier_step_lends_nothing_to_the_last(tmp_path: Path) -> None:
    trained = make_run(tmp_path / "train", MADE)
    make_evaluation(tmp_path / "eval", trained, step=100)
    (group,), _ = group_runs(collect([tmp_path]).runs)
    assert destroyed_images(group) == []
    assert np.isfinite(group.layers("unseen", destroyed_probe(1))[0]).all(axis=1).tolist() == [
        False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"probe": {"n_init": 1}},
        {"facts": {"split_hash": "others"}},
        {"facts": {"data": "photos"}},
        {"facts": {"checkpoint": "elsewhere/checkpoints/last.ckpt"}},
    ],
)
def test_anything_else_stays_a_setting_of_its_own(tmp_path: Path, changes: dict[str, Any]) -> None:
    trained = make_run(tmp_path / "train", MADE)
    make_evaluation(tmp_path / "eval", trained, **changes)
    groups, left_out = group_runs(collect([tmp_path]).runs)
    assert len(groups) == 2
    assert left_out == ()


def test_an_evaluation_alone_is_a_setting(tmp_path: Path) -> None:
    make_evaluation(tmp_path / "eval", tmp_path / "not_here")
    (setting,) = analyse(group_runs(collect([tmp_path]).runs)[0]).settings
    assert len(destroyed_images(setting.group)) == 1


def test_runs_with_and_without_added_rows_are_one_setting(tmp_path: Path) -> None:
    others = ("probe.noise_levels", [1.0]), ("probe.save_embeddings", False), ("data.eval_batch_size", 10)
    for seed, added in enumerate(((), *((one,) for one in others))):
        make_run(tmp_path / str(seed), Made(model="cvt", seed=seed, settings=added))
    (group,), left_out = group_runs(collect([tmp_path]).runs)
    assert group.seeds == (0, 1, 2, 3)
    assert left_out == ()


def test_the_page_says_what_was_measured(tmp_path: Path) -> None:
    trained = make_run(tmp_path / "runs" / "train", Made(model="cvt", controls=True, embeddings=True))
    make_evaluation(tmp_path / "runs" / "eval", trained)
    make_run(tmp_path / "runs" / "other", Made(model="pvt"))
    build_report([tmp_path / "runs"], tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    said = html.split('<section id="controls">')[1].split("</p>", maxsplit=1)[0]
    assert (
        "Measured, of 2 settings: NMI by chance (nmi_chance) in 1, k-means noise (nmi_start_sd) in 1" in said
    )
    assert (
        "in 1, seen accuracy at every step in 1, saved embeddings (probe.save_embeddings=true) in 1." in said
    )
    assert "which counts already" in html


def test_controls_are_no_probes_of_their_own(report: Path) -> None:
    """The sweep has nmi_chance and nmi_start_sd for every layer and for the raw pixels."""
    html = (report / "index.html").read_text(encoding="utf-8")
    assert '<option value="nmi">' in html
    assert '<option value="nmi_' not in html
    table = (report / "tables" / "layer_scores.csv").read_text()
    assert ",nmi," in table
    assert "nmi_chance" not in table
    assert "nmi_start_sd" not in table
