"""The regret of rules that choose a layer: by hand, over designs, and where nothing is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reporting.layers.test_analysis import analysis_of
from reporting.synthetic import make_curves

from unseen.reporting.build import build_report
from unseen.reporting.layers.layer_choice import (
    LAST,
    OTHER_SPLITS,
    PENULTIMATE,
    RANDOM,
    Choice,
    _gain,
    layer_choice,
)
from unseen.reporting.layers.layer_choice_tables import choices_table, regret_table, selection_sentences
from unseen.reporting.statistics.intervals import SHARE, estimate
from unseen.scores import Score

NC1 = "smallest neural-collapse ratio"
CURVES = ([0.2, 0.6, 0.5], [0.3, 0.5, 0.4], [0.1, 0.4, 0.6])  # of three splits


def ratios(*values: float) -> tuple[Score, ...]:
    return tuple(
        Score(0, 0, "seen", layer, f"stage{layer}", layer / 2, "nc1", value)
        for layer, value in enumerate(values)
    )


def make_splits(root: Path, model: str = "cvt", **more: object) -> None:
    """Three splits and a seed, in which NC1 takes layer 1, 0 and 2."""
    chosen = (ratios(2, 1, 3), ratios(1, 2, 2), ratios(2, float("nan"), 1))
    for split, (curve, extra) in enumerate(zip(CURVES, chosen, strict=True)):
        make_curves(root, model, [curve], split=split, extra=extra, **more)  # type: ignore[arg-type]


def rules_of(root: Path) -> dict[str, Choice]:
    return {one.name: one for one in layer_choice(analysis_of(root).contests).choices}


def test_regrets_by_hand(tmp_path: Path) -> None:
    """Best layers .6, .5, .6; of the other two splits in the mean layers 2, 2 and 1 are best."""
    make_splits(tmp_path)
    rules = rules_of(tmp_path)
    assert rules.keys() == {LAST, PENULTIMATE, RANDOM, OTHER_SPLITS, NC1}
    regrets = {LAST: (0.1, 0.1, 0), PENULTIMATE: (0, 0, 0.2), NC1: (0, 0.2, 0), OTHER_SPLITS: (0.1, 0.1, 0.2),
               RANDOM: (0.6 - 1.3 / 3, 0.1, 0.6 - 1.1 / 3)}  # fmt: skip
    for name, values in regrets.items():
        expected = estimate(np.array(values)).within(*SHARE)
        assert rules[name].regret.mean == pytest.approx(expected.mean), name
        assert (rules[name].regret.low, rules[name].runs) == (pytest.approx(expected.low), 3)
    assert [rules[name].best_in for name in (LAST, PENULTIMATE, NC1, OTHER_SPLITS)] == [1, 2, 2, 0]
    assert rules[RANDOM].best_in is None
    over_last, over_penultimate = rules[NC1].gains
    assert over_last.value.mean == pytest.approx(0)  # .1, -.1, 0
    assert over_penultimate.value.mean == pytest.approx(0)  # 0, -.2, .2
    assert over_last.p == pytest.approx(1)
    assert rules[LAST].gains == ()


def test_the_choice_in_each_run_is_in_the_long_table(tmp_path: Path) -> None:
    make_splits(tmp_path)
    found = layer_choice(analysis_of(tmp_path).contests)
    rows = [row.cells for row in choices_table(found).rows if row.cells[5] == NC1]
    assert [(cells[6], cells[7], cells[8], cells[9]) for cells in rows] == [
        (1, "stage1", 0.6, 0), (0, "stage0", 0.3, pytest.approx(0.2)), (2, "stage2", 0.6, 0),
    ]  # fmt: skip


def test_networks_are_averaged_within_a_split_and_data_sets_are_further_units(tmp_path: Path) -> None:
    make_splits(tmp_path)
    make_splits(tmp_path, "swin")
    for split, curve in enumerate(CURVES):  # a network of a later seed, and without selectors
        make_curves(tmp_path, "vit", [curve, curve], split=split)
    make_splits(tmp_path, data="calligraphy")
    rules = rules_of(tmp_path)
    assert (rules[LAST].runs, rules[LAST].regret.n) == (
        12,
        6,
    )  # 3 + 1 networks, 3 splits, of the seed they share
    assert (rules[NC1].runs, rules[NC1].regret.n) == (9, 6)
    expected = estimate(np.array([0, 0.2, 0, 0, 0.2, 0]))
    assert (rules[NC1].regret.mean, rules[NC1].regret.high) == pytest.approx((expected.mean, expected.high))


def test_seeds_that_splits_share_count_in_the_interval(tmp_path: Path) -> None:
    """Two seeds on each of three splits: a table of splits and seeds, chosen from runs that share neither."""
    for split, curve in enumerate(CURVES):
        make_curves(tmp_path, "cvt", [curve, [0.1, 0.2, 0.6]], split=split, extra=ratios(2, 3, 1))
    rules = rules_of(tmp_path)
    expected = estimate(np.array([[0.1, 0], [0.1, 0], [0, 0]]))
    assert (rules[NC1].regret.mean, rules[NC1].regret.high) == pytest.approx((expected.mean, expected.high))
    assert rules[NC1].gains[0].p == 1  # it takes the last layer, always
    # of a run of seed 0 the others are of seed 1, whose best layer is the last; of seed 1 those of seed 0, as above
    assert rules[OTHER_SPLITS].regret.mean == pytest.approx((0.1 + 0.1 + 0 + 0 + 0 + 0.4) / 6)


def test_a_rule_is_named_only_where_its_test_passes(tmp_path: Path) -> None:
    none = tmp_path / "none"
    none.mkdir()
    make_splits(none)
    sentences = selection_sentences(layer_choice(analysis_of(none).contests))
    assert (
        "3 runs (1 network on digits (3 class splits × 1 seed)) always taking the last layer costs"
        in sentences[0]
    )
    assert "none is shown to be better than always the last layer; none is shown to be worse" in sentences[1]
    clear = tmp_path / "clear"
    clear.mkdir()
    for split in range(6):
        make_curves(clear, "cvt", [[0.1, 0.7 + split / 100, 0.5, 0.4]], split=split,
                    extra=tuple(Score(0, 0, "seen", layer, f"stage{layer}", layer / 3, "nc1", (2, 1, 3, 4)[layer])
                                for layer in range(4)))  # fmt: skip
    sentences = selection_sentences(layer_choice(analysis_of(clear).contests))
    assert (
        f"better than always the last layer: best layer of other splits by 0.32, {NC1} by 0.32"
        in sentences[1]
    )
    assert (
        f"better than always the penultimate layer: best layer of other splits by 0.22, {NC1} by 0.2"
        in sentences[2]
    )


def test_two_runs_test_nothing_and_none_have_no_table(tmp_path: Path) -> None:
    assert layer_choice(()) == layer_choice(analysis_of(tmp_path).contests)
    make_curves(tmp_path, "cvt", [CURVES[0]])
    assert regret_table(layer_choice(analysis_of(tmp_path).contests)).rows == ()
    make_curves(tmp_path, "swin", [CURVES[0], CURVES[1]], extra=ratios(1, 2, 3))
    found = layer_choice(analysis_of(tmp_path).contests)
    assert "is not tested: that takes three" in selection_sentences(found)[1]
    made = build_report([tmp_path], tmp_path / "report")
    page = made.page.read_text(encoding="utf-8")
    assert "Which layer, without labels of the unseen classes?" in page
    assert (tmp_path / "report" / "tables" / "layer_selection_runs.csv").is_file()


@pytest.mark.parametrize(("splits", "seeds"), [(3, 1), (6, 3)])
@pytest.mark.parametrize(("share_last", "of_split"), [(0.0, 0.0), (0.7, 0.0), (0.0, 1.0), (0.7, 1.0)])
def test_where_all_layers_are_equal_no_rule_gains(
    share_last: float, of_split: float, splits: int, seeds: int
) -> None:
    """Three networks of nine layers; a choice may often be the last, or alike in a split."""
    random, cases, found = np.random.default_rng(0), 600, 0
    runs = (3, splits, seeds)
    for _ in range(cases):
        nmi = random.normal(size=(*runs, 9)) + of_split * random.normal(size=(3, splits, 1, 9))
        alike = random.integers(9, size=(3, splits, 1))
        taken = np.where(random.random(runs) < of_split / 2, alike, random.integers(9, size=runs))
        taken = np.where(random.random(runs) < share_last, 8, taken)
        gains = (np.take_along_axis(nmi, taken[..., None], axis=-1)[..., 0] - nmi[..., -1]).mean(axis=0)
        found += _gain(gains if seeds > 1 else gains[:, 0]).p <= 0.05
    print(f"{splits} splits, {seeds} seeds: p ≤ .05 in {found / cases:.3f} of {cases} cases")
    assert found / cases <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / cases)
