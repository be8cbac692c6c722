"""Layers that cluster by colour or by class: by hand, what cannot be tested, and where nothing is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import Made, make_run, put_nmi

from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.statistics.claims import judged
from unseen.reporting.statistics.crossfit import at_best, cross_fit
from unseen.reporting.studies.cue_clusters import cue_figure, cue_networks, cue_sentences
from unseen.reporting.studies.study_effects import Study, parts_of_studies, studies
from unseen.reporting.studies.study_section import study_section
from unseen.reporting.theme import FILES
from unseen.scores import Score

ABOUT = {"name": "w4", "question": "Do they?", "analysis": "cue", "reference": {"data.cue_agreement": 0}}
CLASS = ([0.1, 0.4, 0.5], [0.1, 0.3, 0.51], [0.1, 0.35, 0.52])
COLOUR = ([0.6, 0.3, 0.2], [0.61, 0.4, 0.2], [0.62, 0.35, 0.2])


def make_level(
    root: Path, agreement: float, by_class: object = CLASS, by_colour: object = COLOUR, number: int = 3
) -> None:
    for split in range(number):
        settings = (("study", ABOUT), ("data.split_seed", split), ("data.cue_agreement", agreement))
        unseen = tuple(f"c{split + n}" for n in range(3))
        made = Made("cvt", "digits", steps=(0,), settings=settings, unseen=unseen)
        rows = [
            Score(0, 0, "unseen", layer, f"stage{layer}", layer / 2 if layer >= 0 else None, probe, value)
            for probe, values in (("ami", by_class), ("cue_ami", by_colour))
            for layer, value in enumerate([0.05, *values[split]], -1)
        ]
        put_nmi(make_run(root / f"{agreement}-{split}", made), by_class[split], extra=tuple(rows))


def study_in(root: Path, parts: int = 1) -> Study:
    (found,) = studies(group_runs(collect([root]).runs)[0], parts)
    return found


def test_one_agreement_by_hand(tmp_path: Path) -> None:
    """Class - colour: -.5, -.51, -.52, t = -88; .1, -.1, 0; .3, .31, .32, t = 54; raw pixels 0 in all splits."""
    make_level(tmp_path, 1)
    (found,) = cue_networks(study_in(tmp_path))
    pixels, first, _, third = found.layers
    assert (found.agreement, pixels.name, first.name) == ("1", "input", "stage0")
    assert [layer.difference.mean for layer in found.layers] == pytest.approx([0, -0.51, 0, 0.31])
    assert (first.by_class.mean, first.by_colour.mean) == (pytest.approx(0.1), pytest.approx(0.61))
    assert [layer.p for layer in found.layers[1:]] == pytest.approx([1.281e-4, 1, 3.467e-4], rel=1e-3)
    assert (first.corrected, third.corrected) == (pytest.approx(3 * first.p), pytest.approx(2 * third.p))
    assert [layer.written for layer in found.layers] == [False, True, False, True]
    assert np.isnan(pixels.p)


def test_g_and_the_layers_are_two_parts_of_the_page(tmp_path: Path) -> None:
    """Differences .2, .26, .32: t = 7.5, p = .0173, by Holm for three layers .052, for two parts .104."""
    by_class = ([0.3, 0.5, 0.4], [0.36, 0.4, 0.3], [0.42, 0.45, 0.35])
    by_colour = ([0.1, 0.4, 0.3], [0.1, 0.5, 0.4], [0.1, 0.45, 0.35])
    make_level(tmp_path, 1, by_class, by_colour)
    (alone,) = cue_networks(study_in(tmp_path))
    (found,) = cue_networks(study_in(tmp_path, 2))
    assert (alone.layers[1].corrected, alone.layers[1].written) == (pytest.approx(0.0518, abs=2e-4), True)
    assert (found.layers[1].corrected, found.layers[1].written) == (pytest.approx(0.1036, abs=4e-4), False)
    assert parts_of_studies(study_in(tmp_path).configurations) == 2
    (sentence,) = cue_sentences([found])
    assert (
        "cvt on digits, trained at agreement 1: of 3 layers neither is shown (p ≤ 0.05 and, corrected, ≤ 0.1)"
        in sentence
    )


def test_the_section_says_what_is_shown_of_g_and_of_the_layers(tmp_path: Path) -> None:
    lower = tuple([value - 0.1 for value in values] for values in CLASS)
    make_level(tmp_path, 0)
    make_level(tmp_path, 0.5, lower)
    make_level(tmp_path, 1, COLOUR, CLASS)
    section = study_section(study_in(tmp_path, 2))
    of_g, *of_layers = section.sentences
    assert "data.cue_agreement, against 0" in of_g
    assert "corrected, ≤ 0.1" in of_g
    assert [sentence.partition(":")[0] for sentence in of_layers] == [
        f"cvt on digits, trained at agreement {level}" for level in ("0", "0.5", "1")
    ]
    assert (
        "agreement 0: unseen images cluster in layer 0 by colour rather than by class, and in layer 2 by class rather "
        "than by colour (p ≤ 0.05 and, corrected, ≤ 0.1); of 1 other layer neither is shown. Over 3 class splits"
    ) in of_layers[0]
    assert "cluster in layer 2 by colour rather than by class, and in layer 0 by class" in of_layers[2]
    of_levels, table = section.tables
    assert [row.cells[1] for row in of_levels.rows] == ["0 (reference)", "0.5", "1"]
    assert table.name == "study_w4_demo_layers"
    assert [row.cells[2:5] for row in table.rows[:5]] == [
        ("0", "", "input"), ("0", "0", "stage0"), ("0", "1", "stage1"), ("0", "2", "stage2"), ("0.5", "", "input"),
    ]  # fmt: skip
    rows = section.file["data"]["values"]
    assert [(row["a"], row["l"]) for row in rows] == [
        (level, at) for level in ("0", "0.5", "1") for at in range(3)
    ]
    assert rows[0]["x"] == pytest.approx(-0.51)
    build_report([tmp_path], tmp_path / "report")
    assert (tmp_path / "report" / "figures" / "study_w4_demo.png").stat().st_size > 1000
    assert "study_w4_demo_layers" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    assert "takes runs with data.cue_agreement" in cue_sentences(())[0]
    assert cue_figure((), FILES) is None
    make_level(tmp_path, 1, number=2)
    (found,) = cue_networks(study_in(tmp_path))
    assert (
        "agreement 1: by what its layers cluster is not tested, which takes three"
        in cue_sentences([found])[0]
    )
    assert not any(layer.written for layer in found.layers)


def test_where_nothing_is_true_a_layer_is_seldom_named() -> None:
    """Nine layers at four agreements, whose differences have one part in common within a split: noise alone."""
    rng, number = np.random.default_rng(0), 250
    named = 0
    for _ in range(number):
        values = rng.normal(0, 0.1, (4, 4, 1)) + rng.normal(0, 0.05, (4, 4, 9))  # agreements, splits, layers
        p = [cross_fit(of_one[:, layer, None], at_best).p for of_one in values for layer in range(9)]
        named += any(written for _, written in judged(p, 2))
    assert named / number <= 0.05 + 2 * 0.014
