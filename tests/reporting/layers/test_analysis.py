"""What is concluded from runs whose numbers are known."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.synthetic import Made, change_summary, make_curves, make_run, make_sweep

from unseen.reporting.collect import collect
from unseen.reporting.layers.analysis import Analysis, analyse
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.layers.layer_tables import power
from unseen.reporting.statistics.design import needed
from unseen.reporting.statistics.intervals import SHARE, estimate


def analysis_of(root: Path) -> Analysis:
    return analyse(group_runs(collect([root]).runs)[0])


def test_networks_are_ranked_and_paired_by_seed(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5], [0.1, 0.7]])
    make_curves(tmp_path, "swin", [[0.4, 0.2], [0.6, 0.1], [0.9, 0.1]])  # a third seed that cvt does not have
    (contest,) = analysis_of(tmp_path).contests
    assert [one.label for one in contest.configurations] == ["swin", "cvt"]
    (pair,) = contest.pairs
    assert pair.found.g.n == 2
    # over the shared seeds swin is below, .4 - .5 and .6 - .7
    assert pair.found.g.mean == pytest.approx(-0.1)
    assert pair.found.first_above == 0
    assert math.isnan(pair.found.p)  # two units
    assert math.isnan(contest.association.rho)  # two networks


def test_pairs_are_over_the_splits_that_both_have(tmp_path: Path) -> None:
    """Four splits of one network, three of which the other has, too, there with other seeds in part."""
    for split in range(4):
        make_curves(tmp_path, "cvt", [[0.1, 0.5 + split / 10], [0.1, 0.5 + split / 10]], split=split)
    for split in range(4):
        make_curves(tmp_path, "swin", [[0.1, 0.4 + split / 10]], split=split)
    (contest,) = analysis_of(tmp_path).contests
    (pair,) = contest.pairs
    assert (pair.units.over, pair.found.g.n, pair.found.first_above) == ("splits", 4, 4)
    assert pair.found.g.mean == pytest.approx(0.1)
    assert len(pair.units.cells) == 4  # seed 0 of each


def test_power_follows_from_the_spread_of_the_differences(tmp_path: Path) -> None:
    """Differences of one split and six seeds, standard deviation .04: `needed` says eight seeds for .05."""
    shifts = np.array([-1, 1, -1, 1, -1, 1]) * 0.04 * math.sqrt(5 / 6)
    make_curves(tmp_path, "cvt", [[0.1, 0.6 + shift] for shift in shifts.tolist()])
    make_curves(tmp_path, "swin", [[0.1, 0.5]] * 6)
    found = analysis_of(tmp_path)
    assert found.contests[0].pairs[0].spread.residual == pytest.approx(0.0016)
    rows = {row.cells[2]: row.cells for row in power(found).rows}
    assert rows[0.05][5] == pytest.approx(0.04)
    assert rows[0.05][6] == str(needed(0.05, 0.04)) == "8"


def test_curves_on_two_data_sets_are_one_observation_a_network(tmp_path: Path) -> None:
    for model in ("vit", "cvt"):
        make_curves(tmp_path, model, [[0.1, 0.2, 0.3, 0.4]], data="digits")
    make_curves(tmp_path, "vit", [[0.3, 0.4, 0.5, 0.6]], data="calligraphy")
    make_curves(
        tmp_path, "cvt", [[0.0, 0.5, 0.4, 0.3, 0.2]], data="calligraphy"
    )  # at equal depths .375 .35 .27 .2
    (pair,) = analysis_of(tmp_path).data_set_pairs
    assert (pair.first, pair.second) == ("calligraphy", "digits")
    assert pair.rhos["vit"] == pytest.approx(1)
    assert pair.agreement.n == 2
    assert math.isnan(pair.agreement.p)


def test_accuracy_against_g_over_networks(tmp_path: Path) -> None:
    make_sweep(tmp_path, models=("cvt", "pvt", "swin", "vit"), data=("calligraphy",), seeds=2)
    (contest,) = analysis_of(tmp_path).contests
    assert contest.association.n == 4
    assert contest.association.exact


def test_an_undefined_nmi_gives_no_g(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[math.nan, math.nan]])
    found = analysis_of(tmp_path)
    assert found.contests == ()
    assert found.unscored == ("cvt on digits",)


def test_many_configurations_are_compared_with_the_best_only(tmp_path: Path) -> None:
    for number in range(14):
        make_curves(tmp_path, f"net{number:02d}", [[0.1, 0.2 + number / 100]])
    (contest,) = analysis_of(tmp_path).contests
    assert len(contest.pairs) == 13
    assert {one.first.label for one in contest.pairs} == {"net13"}


@pytest.mark.parametrize(
    ("settings", "unseen", "differs"),
    [
        ((("probe.n_init", 1),), ("a", "b", "c"), "probe.n_init=1"),
        ((("data.image_size", 32),), ("a", "b", "c"), "data.image_size=32"),
        ((("data.unseen_per_class", 40),), ("a", "b", "c"), "data.unseen_per_class=40"),
        ((("data.unseen", ["x", "y", "z"]),), ("x", "y", "z"), "unseen x, y, z"),
    ],
)
def test_what_is_measured_otherwise_is_a_contest_of_its_own(
    tmp_path: Path, settings: Any, unseen: tuple[str, ...], differs: str
) -> None:
    make_run(tmp_path / "a", Made(model="cvt", unseen=("a", "b", "c")))
    make_run(tmp_path / "b", Made(model="swin", unseen=("a", "b", "c")))
    make_run(tmp_path / "c", Made(model="pvt", unseen=unseen, settings=settings))
    found = analysis_of(tmp_path)
    assert [[one.label for one in contest.configurations] for contest in found.contests] == [
        ["cvt", "swin"],
        ["pvt"],
    ]
    assert found.contests[1].title.startswith(f"calligraphy, {differs}")
    assert len({contest.identifier for contest in found.contests}) == 2


def test_a_network_with_fewer_splits_is_not_ranked(tmp_path: Path) -> None:
    for split in range(3):
        make_curves(tmp_path, "cvt", [[0.1, 0.5], [0.1, 0.6]], split=split)
    make_curves(tmp_path, "swin", [[0.1, 0.9]])
    (contest,) = analysis_of(tmp_path).contests
    assert [one.label for one in contest.configurations] == ["cvt"]
    ((other, why),) = contest.others
    assert (other.label, why) == ("swin", "only the unseen classes c0, c1, c2")


def test_a_sweep_that_has_begun_its_next_split_is_ranked_on_the_one_that_all_have(tmp_path: Path) -> None:
    for model in ("cvt", "swin", "vit"):
        make_curves(tmp_path, model, [[0.1, 0.5], [0.1, 0.6]])
    make_curves(tmp_path, "vit", [[0.1, 0.9]], split=1)
    (contest,) = analysis_of(tmp_path).contests
    assert sorted(one.label for one in contest.configurations) == ["cvt", "swin", "vit"]
    assert {len(one.runs) for one in contest.configurations} == {2}
    ((other, why),) = contest.others
    assert (other.label, why) == ("vit", "its runs with the unseen classes c1, c2, c3")


def test_one_seed_more_of_another_split_does_not_cost_the_ranking_its_seeds(tmp_path: Path) -> None:
    """Both have split 1, but one with a single seed: two networks with five runs each, or with two."""
    for model, seeds in (("cvt", 5), ("swin", 1)):
        make_curves(tmp_path, model, [[0.1, 0.5 + seed / 10] for seed in range(5)])
        make_curves(tmp_path, model, [[0.1, 0.9]] * seeds, split=1)
    (contest,) = analysis_of(tmp_path).contests
    assert [config.g.plain.n for config in contest.configurations] == [5, 5]


def test_splits_are_the_units_where_there_are_three(tmp_path: Path) -> None:
    """g of each split is the mean over the seeds that all have, 0 and 1: .5, .7, .9."""
    for split, curves in enumerate(([[0.4], [0.6], [1.0]], [[0.7], [0.7]], [[0.8], [1.0]])):
        make_curves(tmp_path, "cvt", curves, split=split)
    (contest,) = analysis_of(tmp_path).contests
    assert contest.best.curves[..., 0].tolist() == [[0.4, 0.6], [0.7, 0.7], [0.8, 1.0]]
    assert contest.best.score.mean == pytest.approx(0.7)
    assert (contest.best.score.n, contest.best.units.scope) == (3, "class splits and seeds")
    expected = estimate(contest.best.curves[..., 0]).within(*SHARE)
    assert (contest.best.score.low, contest.best.score.high) == pytest.approx((expected.low, expected.high))


def test_two_splits_are_averaged_within_the_seeds_that_have_both(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.4], [0.6]], split=0)
    make_curves(tmp_path, "cvt", [[0.2], [0.8], [0.9]], split=1)  # seed 2 has one split only
    (contest,) = analysis_of(tmp_path).contests
    assert contest.best.units.over == "seeds"
    assert contest.best.curves[:, 0].tolist() == pytest.approx([0.3, 0.7])


def test_a_run_without_the_nmi_of_a_layer_is_left_out_of_the_layers(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5, 0.4], [0.1, 0.6, 0.5], [0.1, math.nan, 0.9]])
    (contest,) = analysis_of(tmp_path).contests
    assert [run.facts.seed for run in contest.best.undefined] == [2]
    assert contest.best.mean_nmi == pytest.approx([0.1, 0.55, 0.45])  # the last layer of the same two runs


def test_an_evaluation_on_classes_that_were_trained_on_is_not_ranked(tmp_path: Path) -> None:
    trained = {
        "settings": {},
        "data": "calligraphy",
        "split_hash": "x",
        "seen": ["c", "d"],
        "unseen": ["a", "b"],
    }
    folder = make_run(tmp_path / "a", Made(model="cvt", unseen=("c", "b")))
    change_summary(folder, command=["src/eval.py"], checkpoint="/x/checkpoints/last.ckpt", trained=trained)
    make_run(tmp_path / "b", Made(model="swin", unseen=("c", "b")))
    (contest,) = analysis_of(tmp_path).contests
    assert [one.label for one in contest.configurations] == ["swin"]
    assert contest.others[0][1] == "its network was trained on c, which count as unseen here"


@pytest.mark.parametrize("settings", [(("model.optimizer.lr", 0.1),), (("model.pooling", "first"),)])
def test_curves_of_another_training_are_not_compared_between_data_sets(tmp_path: Path, settings: Any) -> None:
    make_curves(tmp_path, "vit", [[0.1, 0.2, 0.3]], data="digits")
    make_curves(tmp_path, "vit", [[0.3, 0.4, 0.5]], data="cifar100", settings=settings)
    assert analysis_of(tmp_path).data_set_pairs == ()
