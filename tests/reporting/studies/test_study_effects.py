"""What a study's factors do: by hand, over strata and splits, and where nothing is true."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.synthetic import Made, change_summary, make_curves, make_run, put_nmi

from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.statistics.claims import may_be_written
from unseen.reporting.statistics.crossfit import at_best, cross_fit
from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.studies.paired_levels import mean_of
from unseen.reporting.studies.study_effects import Factor, Study, studies
from unseen.reporting.studies.study_figures import study_figure
from unseen.reporting.studies.study_tables import study_sentences, study_table
from unseen.reporting.theme import FILES
from unseen.scores import Score

ABOUT = {"name": "g1", "question": "Does it?", "answer": "a change", "reference": {"data.batch_size": 72}}
REFERENCE, SMALLER = ([0.1, 0.5], [0.1, 0.6], [0.1, 0.7]), ([0.2, 0.6], [0.2, 0.75], [0.2, 0.8])


def make_level(
    root: Path, curves: Any, batch: int, model: str = "cvt", *settings: tuple[str, Any], about: Any = None
) -> None:
    """A run on each of some splits, seed 0."""
    for split, curve in enumerate(curves):
        given = (("study", about or ABOUT), ("data.batch_size", batch), *settings)
        make_curves(root, model, [curve], split=split, settings=given)


def studies_of(root: Path) -> tuple[Study, ...]:
    return studies(group_runs(collect([root]).runs)[0])


def factor_of(root: Path) -> Factor:
    (study,) = studies_of(root)
    (factor,) = study.factors
    return factor


def test_a_level_against_the_reference_by_hand(tmp_path: Path) -> None:
    """Differences .1, .15, .1: mean .1167, s = .0289, t = 7 with 2 degrees of freedom, p = .0198."""
    make_level(tmp_path, REFERENCE, 72)
    make_level(tmp_path, SMALLER, 36)
    factor = factor_of(tmp_path)
    reference, smaller = factor.levels
    assert (factor.setting, reference.value, smaller.value) == ("data.batch_size", "72", "36")
    assert reference.effect is None
    assert reference.g.mean == pytest.approx(0.6)
    assert reference.best_layers == ("1 of 0..1 (in 3 of 3)",)
    effect = smaller.effect
    assert effect
    assert effect.g.mean == pytest.approx(0.35 / 3)
    assert effect.g.low == pytest.approx(0.35 / 3 - 4.302653 / 60, abs=1e-6)
    assert effect.p == pytest.approx(0.0198039, abs=1e-6)
    assert (effect.corrected, effect.written) == (effect.p, True)
    assert (effect.above, effect.g.n, effect.strata, effect.scope) == (3, 3, 1, "class splits, for this seed")


def test_strata_are_averaged_and_only_shared_splits_count(tmp_path: Path) -> None:
    """A second network falls by .1 in each split: the mean differences are 0, .025, 0."""
    make_level(tmp_path, REFERENCE, 72)
    make_level(tmp_path, SMALLER, 36)
    make_level(tmp_path, SMALLER, 72, "swin")
    make_level(tmp_path, [[0.2, 0.5], [0.2, 0.65], [0.2, 0.7], [0.9, 0.9]], 36, "swin")
    effect = factor_of(tmp_path).levels[1].effect
    assert effect
    assert (effect.strata, effect.g.n) == (2, 3)
    assert effect.g.mean == pytest.approx(0.025 / 3)
    assert not effect.written
    (study,) = studies_of(tmp_path)
    assert "at none of 1 other level is g shown to change" in study_sentences(study)[0]


def test_splits_are_paired_by_their_seed_where_a_factor_draws_other_classes(tmp_path: Path) -> None:
    """Two or three unseen classes have no class split in common; by AMI, the best layer of which is another."""
    about = ABOUT | {"name": "g3", "measure": "ami", "reference": {"data.num_unseen": 3}}
    for number, gain in ((3, 0.0), (2, 0.2)):
        for split, ami in enumerate((0.3, 0.4, 0.6)):
            settings = (("study", about), ("data.num_unseen", number), ("data.split_seed", split))
            made = Made("cvt", "digits", steps=(0,), settings=settings)
            unseen = tuple(f"c{split + at}" for at in range(number))
            folder = make_run(tmp_path / f"{number}_{split}", Made(**{**made.__dict__, "unseen": unseen}))
            rows = tuple(
                Score(0, 0, "unseen", layer, f"stage{layer}", float(layer), "ami", value)
                for layer, value in ((0, ami + gain), (1, 0.1))
            )
            put_nmi(folder, [0.1, 0.9], extra=rows)
            change_summary(folder, unseen_classes=number)
    three, two = factor_of(tmp_path).levels
    assert three.value == "3"
    assert three.g.mean == pytest.approx(1.3 / 3)
    assert three.best_layers == ("0 of 0..1 (in 3 of 3)",)
    assert two.effect
    assert two.effect.g.n == 3
    assert two.effect.g.mean == pytest.approx(0.2)


def test_the_file_of_a_group_is_a_level(tmp_path: Path) -> None:
    """What was typed tells it; where nothing was, it is the reference."""
    about = ABOUT | {"reference": {"loss": "cross_entropy"}}
    make_level(tmp_path, REFERENCE, 72, about=about)
    before = set(tmp_path.iterdir())
    make_level(tmp_path, SMALLER, 72, "cvt", ("model.loss", {"gamma": 2.0}), about=about)
    for folder in set(tmp_path.iterdir()) - before:
        text = (folder / "summary.json").read_text().replace('"model=cvt"', '"loss=supcon"')
        (folder / "summary.json").write_text(text)
    assert [level.value for level in factor_of(tmp_path).levels] == ["cross_entropy", "supcon"]


def test_networks_may_be_levels(tmp_path: Path) -> None:
    about = ABOUT | {"reference": {"model.name": "cvt"}}
    make_level(tmp_path, REFERENCE, 72, about=about)
    make_level(tmp_path, SMALLER, 72, "swin", about=about)
    reference, swin = factor_of(tmp_path).levels
    assert (reference.value, swin.value) == ("cvt", "swin")
    assert swin.effect
    assert (swin.effect.g.mean, swin.effect.strata) == (pytest.approx(0.35 / 3), 1)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    make_level(tmp_path / "a", REFERENCE[:2], 36)
    (study,) = studies_of(tmp_path / "a")
    assert "nothing is compared" in study_sentences(study)[0]
    make_level(tmp_path / "a", SMALLER[:2], 72)
    (study,) = studies_of(tmp_path / "a")
    assert (
        "whether g changes is not tested, which takes three class splits or seeds"
        in study_sentences(study)[0]
    )
    make_level(tmp_path / "a", SMALLER, 72, "cvt", ("model.optimizer.lr", 0.5))
    (study,) = studies_of(tmp_path / "a")
    assert "other runs of this study have the same levels" in study.problems[0]
    make_level(tmp_path / "b", REFERENCE, 72, about={"name": "<script>", "reference": {}})
    assert studies_of(tmp_path / "b") == ()  # a name that is none: it is no study


def test_a_study_without_factors_tells_the_spread(tmp_path: Path) -> None:
    about = ABOUT | {"name": "g4", "reference": {}}
    make_level(tmp_path, REFERENCE, 72, about=about)
    (study,) = studies_of(tmp_path)
    assert study_table(study).rows == ()
    (sentence,) = study_sentences(study)
    assert "g is 0.60 (95 % interval 0.35 to 0.85) over 3 class splits × 1 seed" in sentence
    assert (
        "standard deviation of 0.10 over splits. Layer 1 of 0..1 is best in the mean and in 3 of 3"
        in sentence
    )


def test_the_spread_is_that_of_the_studys_measure(tmp_path: Path) -> None:
    """By AMI layer 0 is best, .5, .6, .7 (s = .1, t = 4.30, interval .25 to .85), by NMI layer 1."""
    about = ABOUT | {"name": "g2", "reference": {}, "measure": "ami"}
    for split, ami in enumerate((0.5, 0.6, 0.7)):
        settings = (("study", about), ("data.split_seed", split))
        made = Made("cvt", "digits", steps=(0,), settings=settings, unseen=(f"c{split}", "d", "e"))
        rows = (
            Score(0, 0, "unseen", 0, "stage0", 0.0, "ami", ami),
            Score(0, 0, "unseen", 1, "stage1", 1.0, "ami", 0.1),
            Score(0, 0, "unseen", -1, "stage-1", None, "ami", 0.2 + ami / 10),
        )
        put_nmi(make_run(tmp_path / f"{split}", made), [0.1, 0.9], extra=rows)
    (study,) = studies_of(tmp_path)
    (sentence,) = study_sentences(study)
    for text in (
        "g by AMI is 0.60 (95 % interval 0.35 to 0.85) over 3 class splits × 1 seed",
        "the AMI of its best layer has a standard deviation of 0.10 over splits",
        "Layer 0 of 0..1 is best in the mean and in 3 of 3",
        "Raw pixels have 0.26 (95 % interval 0.24 to 0.28).",
    ):
        assert text in sentence
    spec = study_figure(study, FILES)
    assert spec
    assert [point["x"] for point in spec["layer"][0]["data"]["values"]] == [0.5, 0.6, 0.7]
    (mean,) = spec["layer"][1]["data"]["values"]
    assert (mean["x"], mean["lo"], mean["hi"]) == (0.6, 0.3516, 0.8484)


def test_the_page_has_the_question_and_its_answer(tmp_path: Path) -> None:
    make_level(tmp_path / "runs", REFERENCE, 72, about=ABOUT | {"question": "Does <b> it?"})
    make_level(tmp_path / "runs", SMALLER, 36, about=ABOUT | {"question": "Does <b> it?"})
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    page = made.page.read_text(encoding="utf-8")
    assert "Study g1: Does &lt;b&gt; it?" in page
    assert "g is raised at 36 by 0.12 (95 % interval 0.04 to 0.19), p = .040 corrected" in page
    # .020 in the study, twice, because the contest of the two settings is the other part
    rule = "corrected by Holm for all of these, and for the page's 2 parts that test, at most 0.1"
    assert rule in html.unescape(page)
    assert made.summaries[0].startswith(
        "g1 (demo size): data.batch_size, against 72: the mean g ranges from 0.60"
    )
    assert (tmp_path / "out" / "tables" / "study_g1_demo.csv").is_file()
    assert (tmp_path / "out" / "figures" / "study_g1_demo.png").is_file()


def test_the_figure_has_the_intervals_of_the_table(tmp_path: Path) -> None:
    """And of a study that compares nothing the NMI of each class split at the best layer."""
    make_level(tmp_path / "compared", REFERENCE, 72)
    make_level(tmp_path / "compared", SMALLER, 36)
    (study,) = studies_of(tmp_path / "compared")
    spec = study_figure(study, FILES)
    assert spec
    (row,) = spec["data"]["values"]
    assert row == {
        "y": "data.batch_size=36", "f": "data.batch_size=72", "x": 0.1167, "lo": 0.045, "hi": 0.1884, "n": 3,
        "w": "a change is shown", "p": 0.0198,
    }  # fmt: skip
    make_level(tmp_path / "alone", REFERENCE, 72, about=ABOUT | {"reference": {}})
    (study,) = studies_of(tmp_path / "alone")
    spec = study_figure(study, FILES)
    assert spec
    ticks, rule, point = (layer["data"]["values"] for layer in spec["layer"])
    assert [row["x"] for row in ticks] == [0.5, 0.6, 0.7]
    assert rule == point
    assert (point[0]["x"], point[0]["n"]) == (0.6, 3)
    make_level(tmp_path / "one", REFERENCE[:1], 72, about=ABOUT | {"reference": {}})
    (study,) = studies_of(tmp_path / "one")
    assert study_figure(study, FILES) is None


def test_where_no_level_matters_few_studies_claim_one() -> None:
    """Three levels against a reference, two networks of 5 and 9 layers, 5 splits that all share: at most .10 claim."""
    rng = np.random.default_rng(0)

    def runs(layers: int, hard: Floats) -> Floats:
        made: Floats = np.linspace(0.3, 0.5, layers) + hard[:, None] + rng.normal(0, 0.05, (5, layers))
        return made

    claimed = 0
    for _ in range(400):
        hard = rng.normal(0, 0.1, 5)
        levels = [mean_of([cross_fit(runs(n, hard), at_best) for n in (5, 9)]) for _ in range(4)]
        claimed += any(may_be_written([(level - levels[0]).p for level in levels[1:]]))
    assert claimed / 400 <= 0.10 + 2 * 0.015
