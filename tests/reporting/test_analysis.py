"""What is concluded from runs whose numbers are known."""

import math
from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import make_curves, make_sweep

from unseen.reporting.analysis import Analysis, analyse
from unseen.reporting.collect import collect
from unseen.reporting.groups import group_runs
from unseen.reporting.summary import findings


def analysis_of(root: Path) -> Analysis:
    return analyse(group_runs(collect([root]).runs)[0])


def test_networks_are_ranked_and_paired_by_seed(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5], [0.1, 0.7]])
    make_curves(tmp_path, "swin", [[0.4, 0.2], [0.6, 0.1], [0.9, 0.1]])  # a third seed that cvt does not have
    (comparison,) = analysis_of(tmp_path).comparisons
    assert [one.label for one in comparison.configurations] == ["swin", "cvt"]
    (difference,) = comparison.differences
    assert difference.g.n == 2
    assert difference.g.mean == pytest.approx(
        -0.1
    )  # over the shared seeds swin is below, .4 - .5 and .6 - .7
    assert difference.agree == 0
    assert difference.p == pytest.approx(0.5)  # two signs, two of four flips are as far
    assert math.isnan(comparison.spearman.value)  # two networks


def test_differences_are_corrected_for_their_number(tmp_path: Path) -> None:
    for place, model in enumerate(("cvt", "swin", "vit")):
        make_curves(tmp_path, model, [[0.0, 0.2 + 0.2 * place + seed / 100] for seed in range(6)])
    (comparison,) = analysis_of(tmp_path).comparisons
    # six equal signs: 2 / 64 each, times three pairs
    assert [one.p for one in comparison.differences] == [pytest.approx(6 / 64)] * 3


def test_curves_on_two_data_sets(tmp_path: Path) -> None:
    make_curves(tmp_path, "vit", [[0.1, 0.2, 0.3, 0.4]], data="digits")
    make_curves(tmp_path, "vit", [[0.3, 0.4, 0.5, 0.6]], data="calligraphy")
    (transfer,) = analysis_of(tmp_path).transfers
    assert (transfer.first.data, transfer.second.data) == ("calligraphy", "digits")
    assert transfer.agreement.value == pytest.approx(1)
    assert transfer.agreement_p == pytest.approx(2 / 24)
    assert transfer.difference == pytest.approx(0.2)
    assert transfer.difference_p == pytest.approx(2 / 16)


def test_curves_of_other_lengths_meet_at_equal_depths(tmp_path: Path) -> None:
    make_curves(tmp_path, "vit", [[0.0, 0.5, 1.0]], data="digits")
    make_curves(tmp_path, "vit", [[0.0, 0.25, 0.5, 0.75, 1.0]], data="calligraphy")
    (transfer,) = analysis_of(tmp_path).transfers
    assert len(transfer.difference) == 3
    assert transfer.difference == pytest.approx(0)


def test_accuracy_against_g_over_networks(tmp_path: Path) -> None:
    make_sweep(tmp_path, models=("cvt", "pvt", "swin", "vit"), data=("calligraphy",), seeds=2)
    (comparison,) = analysis_of(tmp_path).comparisons
    assert comparison.spearman.n == 4
    assert comparison.spearman.exact
    assert "over 4 networks" in " ".join(findings(comparison))


def test_an_undefined_nmi_gives_no_g(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[math.nan, math.nan]])
    found = analysis_of(tmp_path)
    assert found.comparisons == ()
    assert found.unscored == ("cvt on digits",)


def test_many_configurations_are_compared_with_the_best_only(tmp_path: Path) -> None:
    for number in range(14):
        make_curves(tmp_path, f"net{number:02d}", [[0.1, 0.2 + number / 100]])
    (comparison,) = analysis_of(tmp_path).comparisons
    assert len(comparison.differences) == 13
    assert {one.first.label for one in comparison.differences} == {"net13"}
    assert np.isfinite([one.g.mean for one in comparison.differences]).all()
