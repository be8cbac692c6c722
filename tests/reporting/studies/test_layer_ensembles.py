"""Layers together against the best single one: by hand, what cannot be tested, and where nothing is gained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import Made, make_run, put_nmi

from unseen.reporting.collect import collect
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.statistics.crossfit import cross_fit
from unseen.reporting.studies.layer_ensembles import Gain, above_best, ensemble_gains, ensemble_sentences
from unseen.reporting.studies.study_effects import studies
from unseen.reporting.studies.study_section import study_section
from unseen.scores import ENSEMBLE_PROBE, Score

ABOUT = {"name": "w5", "question": "Do they?", "analysis": "ensembles"}
NMI = ([0.1, 0.6, 0.3], [0.1, 0.7, 0.4], [0.1, 0.5, 0.48])
EVERY = (0.62, 0.71, 0.51)
TWO = (0.5, 0.5, 0.5)


def make_network(
    root: Path, model: str, gain: float = 0.0, number: int = 3, *, together: bool = True
) -> None:
    for split in range(number):
        settings = (("study", ABOUT), ("data.split_seed", split))
        unseen = tuple(f"c{split + n}" for n in range(3))
        made = Made(model, "digits", steps=(0,), settings=settings, unseen=unseen)
        rows = [
            Score(0, 0, "unseen", layer, f"stage{layer}", layer / 2, ENSEMBLE_PROBE, value + gain)
            for layer, value in ((0, EVERY[split]), (1, TWO[split]))
        ]
        put_nmi(make_run(root / f"{model}{split}", made), NMI[split], extra=tuple(rows) if together else ())


def gains_in(root: Path) -> tuple[Gain, ...]:
    return ensemble_gains(group_runs(collect([root]).runs)[0])


def test_one_network_by_hand(tmp_path: Path) -> None:
    """All against layer 1: .02, .01, .01, s = .00577, t = 4; the last two: -.1, -.2, 0, s = .1, t = -1.73."""
    make_network(tmp_path, "cvt")
    two, every = gains_in(tmp_path)
    assert (two.network, two.ensemble, every.ensemble) == ("cvt", "last two layers", "all layers")
    assert every.together.mean == pytest.approx(1.84 / 3)
    assert (every.single.mean, every.difference.mean) == (pytest.approx(0.6), pytest.approx(0.04 / 3))
    assert (every.p, every.above) == (pytest.approx(0.0572, abs=1e-4), 3)
    assert (two.difference.mean, two.above) == (pytest.approx(-0.1), 0)
    assert two.p == pytest.approx(0.2254, abs=1e-4)
    assert every.corrected == pytest.approx(2 * every.p)
    assert not every.written


def test_the_mean_of_networks_comes_first_and_the_section_says_what_is_shown(tmp_path: Path) -> None:
    """A second network with .1 more: in the mean all layers gain .0633, t = 19."""
    make_network(tmp_path, "cvt")
    make_network(tmp_path, "swin", 0.1)
    (study,) = studies(group_runs(collect([tmp_path]).runs)[0])
    section = study_section(study)
    of_two, of_all = section.sentences
    assert (
        "digits, all layers together against the best single layer of the other units, the mean of 2 networks"
        in of_all
    )
    assert "NMI is higher by 0.06 (95 % interval 0.05 to 0.08), p = .014 corrected" in of_all
    assert "of single networks it is shown in swin (higher by 0.11)" in of_all
    assert of_all.endswith("Over 3 class splits × 1 seed; intervals hold for class splits, for this seed.")
    assert "no difference of NMI is shown (−0.05 (95 % interval" in of_two
    assert of_two.partition(". Over")[0].endswith("in no single network it is")
    (table,) = section.tables
    assert [row.cells[1:3] for row in table.rows] == [
        (network, ensemble)
        for ensemble in ("last two layers", "all layers")
        for network in ("mean of the networks", "cvt", "swin")
    ]
    assert table.name == "study_w5_demo"


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    make_network(tmp_path / "plain", "cvt", together=False)
    assert gains_in(tmp_path / "plain") == ()
    assert "runs with probe.ensembles=true" in ensemble_sentences(())[0]
    make_network(tmp_path / "one", "cvt", number=1)
    assert gains_in(tmp_path / "one") == ()


@pytest.mark.parametrize("layers", [5, 13])
def test_where_nothing_is_gained_a_difference_is_seldom_shown(layers: int) -> None:
    """Ensemble and layers are equally good but for noise, alike in a split; against the largest layer it would lose."""
    rng, number = np.random.default_rng(layers), 1000
    shown = lost = 0
    for _ in range(number):
        values = rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.05, (5, layers + 1))
        found = cross_fit(values, above_best)
        shown += found.p <= 0.05
        lost += (values[:, -1] - values[:, :-1].max(axis=1)).mean() < 0
    assert shown / number <= 0.05 + 2 * 0.007
    assert lost / number > 0.9
