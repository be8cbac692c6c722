"""What is concluded from runs whose numbers are known."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import FOUND, Made, change_summary, make_run, make_sweep

from unseen.reporting.analysis import Analysis, analyse
from unseen.reporting.answer import answer, findings
from unseen.reporting.collect import collect
from unseen.reporting.groups import group_runs
from unseen.reporting.probe_facts import destroyed_images, noise_floor, references
from unseen.scores import Score, ScoreTable


def analysis_of(root: Path) -> Analysis:
    return analyse(group_runs(collect([root]).runs)[0])


def put_nmi(folder: Path, curve: list[float], *, pixels: float = 0.05, extra: tuple[Score, ...] = ()) -> None:
    """Give a run this NMI curve at its only step."""
    places = [-1, *range(len(curve))]
    rows = [
        Score(
            0,
            0,
            "unseen",
            layer,
            f"stage{layer}",
            None if layer < 0 else layer / (len(curve) - 1),
            "nmi",
            value,
        )
        for layer, value in zip(places, [pixels, *curve], strict=True)
    ]
    ScoreTable([*rows, *extra]).write(folder / "scores.csv")
    change_summary(folder, *FOUND)


def make(root: Path, model: str, curves: list[list[float]], data: str = "digits", **more: float) -> None:
    for seed, curve in enumerate(curves):
        folder = make_run(root / f"{model}{data}{seed}", Made(model=model, data=data, seed=seed, steps=(0,)))
        put_nmi(folder, curve, **more)


def test_one_setting_by_hand(tmp_path: Path) -> None:
    make(tmp_path, "cvt", [[0.1, 0.5, 0.3], [0.2, 0.7, 0.6]], pixels=0.2)
    (setting,) = analysis_of(tmp_path).settings
    assert setting.g.best_layer == 1
    assert setting.g.of_mean.mean == pytest.approx(0.6)
    assert setting.over_last.mean == pytest.approx(0.15)  # .2 and .1
    assert (setting.over_last.low, setting.over_last.high) == (pytest.approx(0.1), pytest.approx(0.2))
    assert setting.over_pixels.mean == pytest.approx(0.4)
    assert setting.trend.spearman == pytest.approx(0.5)  # means .15, .60, .45: ranks 1, 3, 2
    assert setting.shape.sign_changes == 1
    assert not setting.best_is_last
    assert setting.noise is None


def test_networks_are_ranked_and_paired_by_seed(tmp_path: Path) -> None:
    make(tmp_path, "cvt", [[0.1, 0.5], [0.1, 0.7]])
    make(tmp_path, "swin", [[0.4, 0.2], [0.6, 0.1], [0.9, 0.1]])  # a third seed that cvt does not have
    (contest,) = analysis_of(tmp_path).contests
    assert [setting.group.label for setting in contest.settings] == ["swin", "cvt"]
    (difference,) = contest.differences
    assert difference.g.n == 2
    assert difference.g.mean == pytest.approx(
        -0.1
    )  # over the shared seeds swin is below, .4 - .5 and .6 - .7
    assert difference.agree == 0
    assert difference.p == pytest.approx(0.5)  # two signs, two of four flips are as far
    assert math.isnan(contest.accuracy_and_g.spearman)  # two networks


def test_differences_are_corrected_for_their_number(tmp_path: Path) -> None:
    for place, model in enumerate(("cvt", "swin", "vit")):
        make(tmp_path, model, [[0.0, 0.2 + 0.2 * place + seed / 100] for seed in range(6)])
    (contest,) = analysis_of(tmp_path).contests
    # six equal signs: 2 / 64 each, times three pairs
    assert [one.p for one in contest.differences] == [pytest.approx(6 / 64)] * 3


def test_curves_on_two_data_sets(tmp_path: Path) -> None:
    make(tmp_path, "vit", [[0.1, 0.2, 0.3, 0.4]], data="digits")
    make(tmp_path, "vit", [[0.3, 0.4, 0.5, 0.6]], data="calligraphy")
    (transfer,) = analysis_of(tmp_path).transfers
    assert (transfer.first, transfer.second) == ("calligraphy", "digits")
    assert transfer.agreement.spearman == pytest.approx(1)
    assert transfer.agreement_p == pytest.approx(2 / 24)
    assert transfer.difference == pytest.approx(0.2)
    assert transfer.difference_p == pytest.approx(2 / 16)


def test_curves_of_other_lengths_meet_at_equal_depths(tmp_path: Path) -> None:
    make(tmp_path, "vit", [[0.0, 0.5, 1.0]], data="digits")
    make(tmp_path, "vit", [[0.0, 0.25, 0.5, 0.75, 1.0]], data="calligraphy")
    (transfer,) = analysis_of(tmp_path).transfers
    assert transfer.layers == 3
    assert transfer.difference == pytest.approx(0)


def test_an_undefined_nmi_gives_no_setting(tmp_path: Path) -> None:
    make(tmp_path, "cvt", [[math.nan, math.nan]])
    found = analysis_of(tmp_path)
    assert found.contests == ()
    assert found.unscored == ("cvt on digits",)


def test_controls_are_read_where_they_are(tmp_path: Path) -> None:
    extra = tuple(
        Score(0, 0, "unseen", layer, f"stage{layer}", None, probe, value)
        for layer in (0, 1)
        for probe, value in (
            ("nmi_chance", 0.01),
            ("nmi_start_sd", 0.03),
            ("nmi_noise_0.5", 0.2),
            ("nmi_noise_2", 0.02),
        )
    )
    folder = make_run(tmp_path / "a", Made(model="cvt", data="digits", steps=(0,)))
    put_nmi(folder, [0.1, 0.4], extra=extra)
    (setting,) = analysis_of(tmp_path).settings
    levels = {one.kind: one.values.tolist() for one in references(setting.group, "unseen", "nmi")}
    assert levels == {"chance": [0.01, 0.01], "pixels": [0.05]}
    noise = noise_floor(setting.group)
    assert noise is not None
    assert noise.tolist() == [0.03, 0.03]
    assert setting.shape.judged_by == "noise"
    assert [(level, values.tolist()) for level, values in destroyed_images(setting.group)] == [
        (0.5, [0.2, 0.2]),
        (2.0, [0.02, 0.02]),
    ]


def test_chance_and_ceiling_of_neighbours(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="cvt", data="calligraphy"))
    group = analysis_of(tmp_path).settings[0].group
    levels = {one.kind: one.values.tolist() for one in references(group, "unseen", "nnk")}
    assert levels["ceiling"] == [0.99]
    assert levels["chance"] == [pytest.approx(99 / 499)]  # five classes of 100
    (chance,) = [one for one in references(group, "seen", "linear_probe") if one.kind == "chance"]
    assert chance.values.tolist() == [pytest.approx(1 / 15)]
    assert [one.kind for one in references(group, "unseen", "nmi")] == ["pixels"]  # chance not measured


def test_the_answer_names_network_layer_and_doubt(tmp_path: Path) -> None:
    make(tmp_path, "cvt", [[0.1, 0.5, 0.3], [0.2, 0.7, 0.6], [0.1, 0.6, 0.2]])
    make(tmp_path, "swin", [[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.1, 0.2, 0.3]])
    (contest,) = analysis_of(tmp_path).contests
    found = answer(contest)
    assert found.headline == (
        "On digits (demo size) cvt separates classes it has never seen best of 2 networks, at layer 1 of 0 to 2 "
        "(stage1): g = 0.60 (95 % interval 0.50 to 0.70, 3 seeds)."
    )
    assert "best in 3 of 3 seeds; three seeds are few" in found.details
    assert "Its last layer has 0.37, which is lower by 0.23 (95 % interval 0.10 to 0.40)." in found.details
    assert (
        "Next is swin with 0.33; it is below in all 3 shared seeds, which are too few to be sure."
        in found.details
    )
    said = " ".join(findings(contest))
    assert "not the last in 1 of 2 networks" in said
    assert "it needs three whose accuracy is known and differs (2 here)" in said
    assert "NMI by chance (permuted labels) was not measured" in said


def test_the_answer_of_one_run_claims_nothing_about_seeds(tmp_path: Path) -> None:
    make(tmp_path, "cvt", [[0.1, 0.5, 0.3]], pixels=0.8)
    found = answer(analysis_of(tmp_path).contests[0])
    assert "g = 0.50 in one run." in found.headline
    assert "interval" not in found.headline + found.details
    assert "how much another seed would change it is not known" in found.details
    assert "No other network was run" in found.details
    assert "the raw pixels reach 0.80: here no layer does better than no network at all" in found.details


def test_a_setting_of_one_layer(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", Made(model="cvt", data="digits", steps=(0,)))
    ScoreTable([Score(0, 0, "unseen", 0, "x", 0.0, "nmi", 0.4)]).write(folder / "scores.csv")
    change_summary(folder, *FOUND)
    (contest,) = analysis_of(tmp_path).contests
    assert "It has only this layer." in answer(contest).details
    assert contest.winner.shape.rises == 0


def test_accuracy_against_g_over_networks(tmp_path: Path) -> None:
    make_sweep(tmp_path, models=("cvt", "pvt", "swin", "vit"), data=("calligraphy",), seeds=2)
    (contest,) = analysis_of(tmp_path).contests
    assert contest.accuracy_and_g.n == 4
    assert contest.accuracy_and_g.exact
    assert "over 4 networks" in " ".join(findings(contest))


def test_settings_of_one_network_are_not_called_networks(tmp_path: Path) -> None:
    made = Made(model="cvt", data="digits")
    make_run(tmp_path / "a", made)
    make_run(tmp_path / "b", replace(made, settings=(("probe.n_init", 1),)))
    assert "best of 2 settings" in answer(analysis_of(tmp_path).contests[0]).headline


def test_networks_that_were_measured_differently_are_flagged(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="cvt", data="digits"))
    make_run(tmp_path / "b", Made(model="swin", data="digits"))
    assert not any("measured alike" in one for one in findings(analysis_of(tmp_path).contests[0]))
    make_run(tmp_path / "c", Made(model="vit", data="digits", settings=(("probe.n_init", 1),)))
    first = findings(analysis_of(tmp_path).contests[0])[0]
    assert first.startswith("Not all networks were measured alike")
    assert first.endswith("probe.n_init is 1 or 10.")


def test_many_settings_are_compared_with_the_best_only(tmp_path: Path) -> None:
    for number in range(14):
        make(tmp_path, f"net{number:02d}", [[0.1, 0.2 + number / 100]])
    (contest,) = analysis_of(tmp_path).contests
    assert len(contest.differences) == 13
    assert {one.first.group.label for one in contest.differences} == {"net13"}
    assert np.isfinite([one.g.mean for one in contest.differences]).all()
