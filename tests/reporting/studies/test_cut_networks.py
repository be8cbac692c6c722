"""Networks cut after their best layer: by hand, what is not measured or tested, and where nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.synthetic import Made, change_summary, make_run, put_nmi

from unseen.reporting.collect import collect
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.statistics.crossfit import cross_fit
from unseen.reporting.studies.cut_networks import Cut, chosen_of_pair, cut_sentences, cuts, cuts_table
from unseen.reporting.studies.study_effects import studies
from unseen.reporting.studies.study_section import study_section
from unseen.scores import Score

ABOUT = {"name": "g11", "question": "What?", "analysis": "cut"}
COSTS = {
    "parameters": [10, 20, 90], "all_parameters": 100, "milliseconds": [1.0, 2.0, 3.0], "all_milliseconds": 4.0,
    "batch": 16, "image_size": 64, "device": "CPU with 1 thread",
}  # fmt: skip
# layer 1 is best in all splits but the last, which therefore reads what the others choose: layer 1
NMI = ([0.1, 0.5, 0.3], [0.1, 0.6, 0.5], [0.1, 0.7, 0.4], [0.1, 0.45, 0.5])
PROBE = ([0.5, 0.70, 0.9], [0.5, 0.72, 0.9], [0.5, 0.72, 0.9], [0.5, 0.74, 0.9])


def make_network(
    root: Path, costs: dict[str, Any] | None = COSTS, *, number: int = 4, over: str = "splits"
) -> None:
    for place, (nmi, probe) in enumerate(zip(NMI[:number], PROBE, strict=False)):
        split, seed = (place, 0) if over == "splits" else (0, place)
        settings = (("study", ABOUT), ("data.split_seed", split))
        unseen = tuple(f"c{split + n}" for n in range(3))
        made = Made("cvt", "digits", seed=seed, steps=(0,), settings=settings, unseen=unseen)
        folder = make_run(root / f"{place}", made)
        rows = [Score(0, 0, "seen", -2, "head", None, "accuracy", 0.95)]
        rows += [
            Score(0, 0, "seen", layer, f"stage{layer}", layer / 2, "linear_probe", value)
            for layer, value in enumerate(probe)
        ]
        put_nmi(folder, nmi, extra=tuple(rows))
        if costs:
            change_summary(folder, layer_costs=costs)


def cut_in(root: Path) -> Cut:
    (found,) = cuts(group_runs(collect([root]).runs)[0])
    return found


def test_a_cut_by_hand(tmp_path: Path) -> None:
    """NMI changes by .2, .1, .3, -.05: mean .1375, s = .149, t = 1.84; the probe by -.18, s = .0163, t = -22."""
    make_network(tmp_path)
    found = cut_in(tmp_path)
    assert (found.parameters, found.time) == (pytest.approx(0.2), pytest.approx(0.5))
    assert found.timed == "16 images of 64 pixels, CPU with 1 thread"
    assert (found.nmi.value.mean, found.nmi.value.n) == (pytest.approx(0.1375), 4)
    assert found.nmi.value.std == pytest.approx(0.149304, abs=1e-6)
    assert found.nmi.p == pytest.approx(0.1627, abs=1e-4)
    assert not found.nmi.written
    assert found.probe.value.mean == pytest.approx(-0.18)
    assert found.probe.p == pytest.approx(2.04e-4, rel=0.01)
    assert found.probe.corrected == pytest.approx(2 * found.probe.p)
    assert found.probe.written
    assert found.probe_at_last == pytest.approx(0.9)


def test_the_section_of_the_study(tmp_path: Path) -> None:
    make_network(tmp_path)
    (study,) = studies(group_runs(collect([tmp_path]).runs)[0])
    section = study_section(study)
    sentence, rule = section.sentences
    assert (
        "cvt on digits, cut after the best layer of the other splits (over all of them layer 1 of 0..2 (in 3 of 4))"
        in sentence
    )
    assert (
        "it keeps 20% of the parameters and 50% of the time of a forward pass (16 images of 64 pixels"
        in sentence
    )
    assert "no change of NMI of unseen classes is shown (0.14 (95 % interval" in sentence
    assert (
        "the linear probe on seen classes is lower by 0.18 (95 % interval 0.15 to 0.21), p < .001 corrected"
        in sentence
    )
    assert rule.endswith("that none is shown does not mean that there is none.")
    (table,) = section.tables
    assert table.name == "study_g11_demo"
    assert table.rows[0].cells[:5] == (
        "digits",
        "cvt",
        "1 of 0..2 (in 3 of 4)",
        pytest.approx(0.2),
        pytest.approx(0.5),
    )


def test_what_was_not_measured_or_cannot_be_tested(tmp_path: Path) -> None:
    make_network(tmp_path / "plain", costs=None)
    assert (
        "what that keeps was not measured (probe.layer_costs=true)"
        in cut_sentences([cut_in(tmp_path / "plain")])[0]
    )
    make_network(tmp_path / "cut", costs=COSTS | {"parameters": [10, 20]})  # of another network
    assert np.isnan(cut_in(tmp_path / "cut").parameters)
    make_network(tmp_path / "two", number=2, over="seeds")
    two = cut_in(tmp_path / "two")
    assert np.isnan(two.nmi.p)
    assert two.nmi.value.n == 2
    assert "which takes three units to test" in cut_sentences([two])[0]
    make_network(tmp_path / "one", number=1)
    configs = group_runs(collect([tmp_path / "one"]).runs)[0]
    assert cuts(configs) == ()
    assert "a network takes two class splits" in cut_sentences(())[0]
    assert cuts_table("g11", "demo", ()).rows == ()


def test_costs_that_are_none_leave_the_run_out(tmp_path: Path) -> None:
    make_network(tmp_path, costs=COSTS | {"all_parameters": 0}, number=1)
    (left,) = collect([tmp_path]).left_out
    assert "layer_costs.all_parameters is 0" in left.reason


@pytest.mark.parametrize("layers", [5, 13])
def test_where_no_layer_differs_a_change_is_seldom_shown(layers: int) -> None:
    """Both scores at all layers are a split's level and noise, alike at neighbouring layers; five splits."""
    rng, number = np.random.default_rng(layers), 1000
    shown = 0
    for _ in range(number):
        noise = rng.normal(0, 0.05, (2, 5, layers)).cumsum(axis=-1) / np.sqrt(np.arange(1, layers + 1))
        nmi, probe = noise + rng.normal(0, 0.1, (2, 5, 1))
        found = cross_fit(np.concatenate([nmi, probe], axis=-1), chosen_of_pair(less_last=True))
        shown += found.p <= 0.05
    assert shown / number <= 0.05 + 2 * 0.007
