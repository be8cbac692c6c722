"""Networks joined with their biases: by hand, what is not joined, and where nothing may be said."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from reporting.biases.bias_runs import write_run
from reporting.synthetic import LAYERS, Made, change_summary, make_run, put_nmi

from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.joined_networks import Association, Join, _corrected, joins
from unseen.reporting.joined_section import join_sections, join_sentences, networks_table
from unseen.reporting.layers.analysis import analyse
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.statistics.association import spearman
from unseen.reporting.statistics.intervals import Estimate

MODELS = list(LAYERS)


def train(
    root: Path, model: str, split: int, g: float, accuracy: float, *settings: tuple[str, Any], name: str = ""
) -> Path:
    given = (("data.split_seed", split), *settings)
    made = Made(model, "digits", steps=(0,), settings=given, unseen=tuple(f"c{split + n}" for n in range(3)))
    folder = make_run(root / f"{name or model}_{split}", made)
    put_nmi(folder, [0.1, g])
    change_summary(folder, g=g, best_layer=1, best_layer_name="stage1", seen_accuracy=accuracy)
    return folder


def measure(root: Path, trained: Path, bias: float, **changes: Any) -> Path:
    """Write the bias run of a training."""
    facts = json.loads((trained / "summary.json").read_text())
    by = {"settings": {}, "data": "digits", "split_hash": facts["split_hash"], "seen": ["a"], "unseen": ["b"]}
    folder = root / f"biases_{trained.name}"
    values = {("low_frequency_bias", "own_test_images"): bias, ("accuracy", "own_test_images"): 0.9}
    about = {"schema": 1, "seed": 0, "trained": by, "g": facts["g"], "config_hash": f"of{folder}"}
    checkpoint = f"/elsewhere/{trained.name}/checkpoints/last.ckpt"
    write_run(
        folder, f"{facts['model']}@{trained.name}", values, **(about | {"checkpoint": checkpoint} | changes)
    )
    change_summary(folder, model=facts["model"])
    (folder / "config.yaml").write_text(yaml.safe_dump({"limit": changes.get("limit"), "seed": 0}), "utf-8")
    return folder


def joined(root: Path) -> tuple[tuple[Join, ...], int]:
    read = collect([root])
    assert not [left for left in read.left_out if left.status == "unreadable"], read.left_out
    return joins(analyse(group_runs(read.runs)[0]).contests, read.bias_runs, read.transfer_runs)


def test_means_over_the_splits_that_all_have(tmp_path: Path) -> None:
    """The third split of vit has no bias run, so that its g and accuracy do not count either."""
    for model, gs, biases in (
        ("vit", (0.5, 0.7, 0.9), (0.2, 0.4, None)),
        ("cvt", (0.4, 0.4, 0.4), (0.6, 0.8, 0.1)),
    ):
        for split, (g, bias) in enumerate(zip(gs, biases, strict=True)):
            trained = train(tmp_path, model, split, g, accuracy=g / 2)
            if bias is not None:
                measure(tmp_path, trained, bias)
    (join,), unlinked = joined(tmp_path)
    assert unlinked == 0
    assert join.names == ("vit", "cvt")
    found = join.measures["low frequency bias (own_test_images)"]
    assert [cell.mean for cell in found] == pytest.approx([0.3, 0.7])
    assert [config.score.mean for config in join.networks] == pytest.approx([0.6, 0.4])
    assert [config.accuracy.mean for config in join.networks] == pytest.approx([0.3, 0.2])
    assert list(join.measures) == ["low frequency bias (own_test_images)"]
    assert [row.measure for row in join.associations] == ["seen accuracy", *join.measures]
    assert all(math.isnan(row.found.p) and not row.written for row in join.associations)
    assert "With 2 networks no rank correlation can have p" in join_sentences(join, 0)[1]


def test_only_the_network_that_a_training_ended_with_is_joined(tmp_path: Path) -> None:
    trained = [train(tmp_path, model, 0, 0.5 + at / 10, 0.5) for at, model in enumerate(MODELS[:4])]
    measure(tmp_path, trained[0], 0.1)
    measure(tmp_path, trained[1], 0.2)
    measure(tmp_path, trained[2], 0.3, g=0.123)  # of another step
    measure(tmp_path, trained[3], 0.4, seed=9)
    (join,), unlinked = joined(tmp_path)
    assert sorted(join.names) == sorted(MODELS[:2])
    assert unlinked == 2
    assert (
        "2 runs of biases.py on other trained networks are not joined" in join_sentences(join, unlinked)[-1]
    )


def test_a_relation_in_one_order_is_written_and_noise_is_not(tmp_path: Path) -> None:
    """Of 8 networks in one order p = 2/8!; with accuracy, one bias and its partial correlation counted."""
    order = [3, 0, 2, 1, 7, 5, 4, 6]
    for at, model in enumerate(MODELS):
        trained = train(tmp_path, model, 0, 0.3 + at / 20, accuracy=0.5 + order[at] / 20)
        measure(tmp_path, trained, 0.9 - at / 10)
    (join,), _ = joined(tmp_path)
    accuracy, bias = join.associations
    assert (bias.found.n, bias.found.rho, bias.found.p) == (8, pytest.approx(-1), pytest.approx(2 / 40320))
    assert bias.corrected <= 3 * bias.found.p
    assert bias.partial == pytest.approx(-1)
    assert (accuracy.written, bias.written) == (False, True)
    text = " ".join(join_sentences(join, 0))
    assert (
        "g is smaller where low frequency bias (own_test_images) is larger (ρ = −1.00, p < .001 by Holm"
        in text
    )
    assert "No run of transfer.py names one of these networks" in text


def test_what_is_not_comparable_is_not_tested(tmp_path: Path) -> None:
    for at, model in enumerate(MODELS):
        measure(tmp_path, train(tmp_path, model, 0, 0.3 + at / 20, 0.5), at / 10, limit=100 + at % 2)
    (join,), _ = joined(tmp_path)
    assert join.associations == ()
    assert "Nothing is tested: their biases were measured with different settings (limit)." in join_sentences(
        join, 0
    )


def test_a_network_near_chance_is_named(tmp_path: Path) -> None:
    for model, accuracy in (("vit", 0.2), ("cvt", 0.9)):  # 7 seen classes: 1/7 = .14
        measure(tmp_path, train(tmp_path, model, 0, 0.5, accuracy), 0.3)
    (join,), _ = joined(tmp_path)
    assert any(text.startswith("vit names at most 2 times as many") for text in join_sentences(join, 0))


def test_the_report_has_the_join(tmp_path: Path) -> None:
    for at, model in enumerate(MODELS[:6]):
        measure(tmp_path / "runs", train(tmp_path / "runs", model, 0, 0.3 + at / 20, 0.5 + at / 50), at / 10)
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    (table,) = (tmp_path / "out" / "tables").glob("joined_networks_*.csv")
    assert len(table.read_text("utf-8").splitlines()) == 7
    assert list((tmp_path / "out" / "figures").glob("joined_*.svg"))
    assert "Does a bias or a transfer score go with g" in made.page.read_text("utf-8")
    assert any("rank correlation" in text and "Holm" in text for text in made.summaries)


def test_a_figure_is_of_a_measure_that_three_networks_have_and_that_varies(tmp_path: Path) -> None:
    for at, model in enumerate(MODELS[:3]):
        measure(tmp_path, train(tmp_path, model, 0, 0.4 + at / 10, accuracy=0.5), bias=0.1 * at)
    (join,), _ = joined(tmp_path)
    assert [row.measure for row in join.associations] == [
        "seen accuracy",
        "low frequency bias (own_test_images)",
    ]
    (section,) = join_sections([join], 0)
    assert [label for _, label in section.panels] == ["low frequency bias (own_test_images) against g"]
    few = replace(join, measures={name: (*cells[:2], Estimate()) for name, cells in join.measures.items()})
    assert not join_sections([few], 0)[0].panels
    assert not join_sections([few], 0)[0].files


def test_where_nothing_is_true_little_is_written(tmp_path: Path) -> None:
    """Of studies of noise at most a tenth may have any claim: six networks, eight measures, 100 studies, ± .06."""
    for model in MODELS[:2]:
        measure(tmp_path, train(tmp_path, model, 0, 0.5, 0.5), 0.3)
    (join,), _ = joined(tmp_path)
    rng = np.random.default_rng(0)
    claimed = 0
    for _ in range(100):
        g, measures = rng.normal(size=6), rng.normal(size=(8, 6))
        measures[4:] += measures[:4]  # alike in pairs, as measures are
        rows = tuple(
            Association(str(at), spearman(one, g), math.nan, math.nan) for at, one in enumerate(measures)
        )
        (corrected,) = _corrected([replace(join, associations=rows)])
        claimed += any(row.written for row in corrected.associations)
    assert claimed / 100 <= 0.16


def test_variants_of_one_network_have_their_level_and_no_test(tmp_path: Path) -> None:
    """Images that are changed in training alone are the same task."""
    study = ("study", {"name": "b7", "reference": {"induce": "plain"}})
    for level, augment in (("plain", None), ("blur", {"_target_": "a.Blur", "share": 0.5})):
        for split, g in enumerate((0.4, 0.5)):
            folder = train(tmp_path, "vit", split, g, 0.5, study, ("data.augment", augment), name=level)
            change_summary(folder, command=["src/train.py", "model=vit", f"induce={level}"])
            measure(tmp_path, folder, 0.3 if level == "plain" else 0.6)
    (join,), _ = joined(tmp_path)
    assert "Nothing is tested: several of them are trainings of one network" in join_sentences(join, 0)[1]
    table = networks_table(join)
    assert table.columns[1].heading == "level of the study"
    cells = {str(row.cells[1]): row.cells[-1] for row in table.rows}
    assert {level: cell.mean for level, cell in cells.items() if isinstance(cell, Estimate)} == {
        "induce=plain": pytest.approx(0.3),
        "induce=blur": pytest.approx(0.6),
    }
