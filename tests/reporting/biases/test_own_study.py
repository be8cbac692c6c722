"""Own networks from run folders: names of columns, what is refused, and what few networks may say."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from reporting.biases.bias_runs import write_run, write_runs

from unseen.reporting.biases.own_networks import own_networks
from unseen.reporting.biases.own_study import own_study

WHOLE = {"id": ["imagenet", "imagenet_real", "imagenet_v2"], "robustness": ["imagenet_c"]}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_columns_of_a_run(tmp_path: Path) -> None:
    values = {
        ("shape_bias", "cue_conflict"): 0.25,
        ("high_frequency_bias", "edges"): 0.01,
        ("cb_center_frequency", "edges"): math.nan,
        ("color_dependence", "edges"): 0.3,
        ("color_dependence", "imagenet"): 0.4,
        ("accuracy", "imagenet"): 0.7,
        ("accuracy", "imagenet_c-fog-3"): 0.5,
        ("accuracy", "edges"): 0.2,
        ("adversarial_accuracy", "imagenet"): 0.1,
        ("adversarial_accuracy", "edges"): 0.05,
    }
    groups = {name: {"accuracy": 0.65, "benchmarks": benchmarks} for name, benchmarks in WHOLE.items()}
    networks = own_networks([write_run(tmp_path / "run", "lite0", values, groups=groups, g=0.31)])
    # names of the published table first; one column of each set where there are several
    assert list(networks.biases) == [
        "shape_bias", "high_freq_bias", "cb_center_freq", "color_dependence@edges", "color_dependence@imagenet"
    ]  # fmt: skip
    assert networks.biases["high_freq_bias"].tolist() == [0.01]
    assert np.isnan(networks.biases["cb_center_freq"]).all()
    # ID is whole; Robustness is of one benchmark of three, and its parts are no groups of their own
    assert {name: round(float(of[0]), 6) for name, of in networks.groups.items()} == {
        "ID": 65, "Robustness (imagenet_c)": 65, "edges": 20, "Adversarial": 10, "Adversarial (edges)": 5, "g": 0.31
    }  # fmt: skip
    np.testing.assert_allclose(networks.pass_curves["low_pass"], [[0.1, 0.2, 0.3, 0.4, 0.5]])
    assert np.isnan(networks.pass_curves["high_pass"]).all()


def test_one_model_in_two_folders_is_two_networks(tmp_path: Path) -> None:
    for name, bias in (("plain", 0.2), ("blurred", 0.4)):
        write_run(tmp_path / name, "lite0", {("shape_bias", "cue_conflict"): bias})
    networks = own_networks([tmp_path])
    assert networks.names == ("lite0 (blurred)", "lite0 (plain)")
    assert networks.biases["shape_bias"].tolist() == [0.4, 0.2]


def test_runs_of_one_model_are_told_apart_by_what_differs_in_their_folders(tmp_path: Path) -> None:
    for place in ("multiruns/day1/model-lite0", "multiruns/day2/model-lite0", "runs/day3"):
        write_run(tmp_path / place, "lite0", {("shape_bias", "cue_conflict"): 0.2})
    write_run(tmp_path / "multiruns/day1/model-lite1", "lite1", {("shape_bias", "cue_conflict"): 0.2})
    assert own_networks([tmp_path / "multiruns"]).names == ("lite0 (day1)", "lite1", "lite0 (day2)")
    # of folders of other depths, the beginning alone may be shared
    assert own_networks([tmp_path]).names[-1] == "lite0 (runs/day3)"
    assert own_networks([tmp_path]).names[0] == "lite0 (multiruns/day1/model-lite0)"


def test_a_run_inside_another_has_a_name_of_its_own(tmp_path: Path) -> None:
    for place in ("a", "a/b"):
        write_run(tmp_path / place, "lite0", {("shape_bias", "cue_conflict"): 0.2})
    assert own_networks([tmp_path]).names == ("lite0 (a)", "lite0 (a/b)")


def test_long_names_that_end_differently_stay_different(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(
            tmp_path / f"{'x' * 200}{seed}", f"{'y' * 100}{seed}", {("shape_bias", "cue_conflict"): 0.2}
        )
    assert len(set(own_networks([tmp_path]).names)) == 2


def test_other_runs_and_unfinished_ones_do_not_count(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lite0", {("shape_bias", "cue_conflict"): 0.2}, status="running")
    write_run(tmp_path / "b", "lite0", {("shape_bias", "cue_conflict"): 0.2}, kind="train")
    with pytest.raises(ValueError, match=r"no finished run of biases\.py is in "):
        own_networks([tmp_path])


def test_three_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"needs 4 of them at least, and there are 3: net0, net1, net2"):
        own_study([write_runs(tmp_path / "runs", 3)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_four_networks_in_one_order_show_nothing(tmp_path: Path) -> None:
    sentences = own_study([write_runs(tmp_path / "runs", 4)], tmp_path / "out")
    row = next(row for row in rows_of(tmp_path / "out/correlations.csv") if row["bias"] == "shape_bias")
    # rho = -1: the t approximation gives 0, two of the 24 orders are as far from zero
    assert (float(row["spearman"]), float(row["p"])) == (pytest.approx(-1), pytest.approx(0))
    assert float(row["p_permutation"]) == pytest.approx(2 / 24)
    assert (row["significant_published"], row["low"], row["n"]) == ("no", "", "4")
    assert "With 4 networks no rank correlation can have p ≤ .05" in sentences[1]
    assert not any("claimed" in sentence for sentence in sentences)


def test_networks_that_lack_one_of_both_do_not_count(tmp_path: Path) -> None:
    for at in range(8):
        values = {("shape_bias", "cue_conflict"): at / 10, ("accuracy", "edges"): 0.9 - at / 10}
        write_run(
            tmp_path / f"runs/{at}",
            f"net{at}",
            {k: v for k, v in values.items() if at < 4 or k[0] != "accuracy"},
        )
    sentences = own_study([tmp_path / "runs"], tmp_path / "out")
    assert sentences[0].startswith("8 networks: ")
    assert sentences[1].startswith("With 4 networks no rank correlation can have p ≤ .05")


def test_eight_networks_in_one_order_are_a_claim(tmp_path: Path) -> None:
    sentences = own_study([write_runs(tmp_path / "runs", 8)], tmp_path / "out")
    assert "8 networks: net0, net1" in sentences[0]
    assert (
        "1 may be claimed if these networks are independent draws: shape bias × edges −1.00." in sentences[1]
    )
    assert "its seeds above all" in sentences[-1]
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert "1 may be claimed" in page
    assert {path.name for path in (tmp_path / "out/figures").glob("*.svg")} == {
        "scatter.svg", "correlations.svg", "bias_correlations.svg", "low_pass.svg"
    }  # fmt: skip


def test_a_minus_is_that_of_the_number_alone(tmp_path: Path) -> None:
    for at in range(8):
        values = {("low_frequency_bias", "edges"): at / 10, ("accuracy", "edges-2"): 0.9 - at / 10}
        write_run(tmp_path / f"runs/{at}", f"net{at}", values)
    sentences = own_study([tmp_path / "runs"], tmp_path / "out")
    assert "low-frequency bias × edges-2 −1.00" in sentences[1]


def test_a_table_without_its_columns_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "lite0", {("shape_bias", "cue_conflict"): 0.2})
    (folder / "scores.csv").write_text("model,value\nlite0,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"run: scores\.csv: it has no column images, measure"):
        own_networks([folder])


def test_a_summary_of_another_hand_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "lite0", {("shape_bias", "cue_conflict"): 0.2}, groups={"id": 0.7})
    with pytest.raises(ValueError, match=r"run: summary\.json: groups\.id is 0\.7, it must be "):
        own_networks([folder])
