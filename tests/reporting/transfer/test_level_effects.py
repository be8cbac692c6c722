"""What settings do to gain and forgetting over tasks: by hand, what is not compared, and where nothing is true."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.transfer.made_transfer import TASKS, write_study, write_transfer

from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.studies.study_section import StudySection
from unseen.reporting.transfer.level_effects import LevelEffect, level_effects, level_text
from unseen.reporting.transfer.transfer_runs import TransferRun
from unseen.reporting.transfer.transfer_studies import transfer_studies

REFERENCE: dict[str, Any] = {"technique.rank": 4}


def make(
    root: Path, task: str, gain: float, rank: int, change: float = 0.0, seed: int = 0, **settings: Any
) -> None:
    """A run whose zero-shot accuracy is .5, and that was tested on one other task."""
    about = {
        "name": "i3",
        "question": "Does it?",
        "answer": "a change",
        "reference": settings.pop("reference", REFERENCE),
    }
    given = {"technique.rank": rank, "study": about, "size": "demo", **settings}
    write_transfer(
        root / f"{len(list(root.glob('*')))}", "clip", task, "lora", before=0.5, after=0.5 + gain / 2, seed=seed,
        others={"far": change}, settings=given,
    )  # fmt: skip


def runs_of(root: Path) -> tuple[TransferRun, ...]:
    read = collect([root])
    assert not read.left_out, read.left_out
    return read.transfer_runs


def effect_of(found: list[LevelEffect], level: str, outcome: str = "gain") -> LevelEffect:
    (one,) = (one for one in found if (one.level, one.outcome) == (level, outcome))
    return one


def test_intervals_end_where_the_outcomes_do(tmp_path: Path) -> None:
    """Gains of 0, .5 and 1 have a t interval to 1.74, and no more than all errors can be gained."""
    for task, gain in zip(TASKS, (0.0, 0.5, 1.0), strict=False):
        make(tmp_path, task, gain, 4)
        make(tmp_path, task, gain / 2, 2)
    found, _ = level_effects(runs_of(tmp_path), REFERENCE)
    assert (effect_of(found, "4").mean.high, effect_of(found, "2").mean.high) == pytest.approx(
        (1, 0.871), abs=5e-4
    )
    assert effect_of(found, "4").mean.low == pytest.approx(0.5 - 1.2421, abs=1e-4)


def test_a_level_against_the_reference_by_hand(tmp_path: Path) -> None:
    """Gains .2, .4, .6 at rank 4 and .3, .4, .8 at rank 2: differences .1, 0, .2 with mean .1, sd .1, t(2) = 4.3027."""
    for task, gains in zip(TASKS, ((0.2, 0.3), (0.4, 0.4), (0.6, 0.8)), strict=False):
        make(tmp_path, task, gains[0], 4, change=-0.1)
        make(tmp_path, task, gains[1], 2, change=-0.2)
    found, problems = level_effects(runs_of(tmp_path), REFERENCE)
    assert problems == []
    reference, smaller = effect_of(found, "4"), effect_of(found, "2")
    assert (reference.is_reference, reference.difference.n) == (True, 0)
    assert math.isnan(reference.p)
    assert (reference.mean.mean, smaller.mean.mean) == (pytest.approx(0.4), pytest.approx(0.5))
    assert (smaller.difference.mean, smaller.difference.n) == (pytest.approx(0.1), 3)
    assert smaller.difference.high == pytest.approx(0.1 + 4.302653 * 0.1 / math.sqrt(3), abs=1e-6)
    assert smaller.p == pytest.approx(0.5)  # of 8 flips 4 are as far: a difference of 0 has no sign
    change = effect_of(found, "2", "mean_change")
    assert (change.difference.mean, change.p) == (pytest.approx(-0.1), pytest.approx(0.25))
    assert change.corrected == pytest.approx(0.5)


def test_seeds_and_other_factors_are_averaged_within_a_task(tmp_path: Path) -> None:
    """Two tasks: the first with two seeds and two learning rates, of which one pair is not whole."""
    reference = {"technique.rank": 4, "model.optimizer.lr": 0.1}
    for rank, gains in ((4, (0.1, 0.2, 0.3)), (2, (0.2, 0.4, 0.6, 0.9))):
        places = ((0, 0.1), (1, 0.1), (0, 1.0), (1, 1.0))
        for gain, (seed, rate) in zip(gains, places, strict=False):
            make(
                tmp_path, "digits", gain, rank, seed=seed, reference=reference, **{"model.optimizer.lr": rate}
            )
        make(tmp_path, "edges", 0.5, rank, reference=reference, **{"model.optimizer.lr": 0.1})
    found, _ = level_effects(runs_of(tmp_path), reference)
    effect = effect_of([one for one in found if one.factor == "technique.rank"], "2")
    assert effect.difference.n == 2
    assert effect.difference.mean == pytest.approx(((0.1 + 0.2 + 0.3) / 3 + 0) / 2)


def test_runs_that_differ_otherwise_are_not_compared(tmp_path: Path) -> None:
    make(tmp_path, "digits", 0.2, 4, epochs=3)
    make(tmp_path, "digits", 0.2, 4, epochs=9)
    found, problems = level_effects(runs_of(tmp_path), REFERENCE)
    assert found == []
    assert "have the same levels and differ in further settings" in problems[0]


def test_the_report_says_what_so_few_tasks_can_show(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for task in TASKS[:4]:
        for rank in (4, 2, 8):
            make(tmp_path / "runs", task, float(rng.uniform(0.1, 0.9)), rank)
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    texts = [text for text in made.summaries if text.startswith("i3 (demo size): ")]
    assert (
        "technique.rank, against 4, over 4 tasks: no level is shown to change gain or forgetting" in texts[0]
    )
    assert "which 4 tasks never show" in texts[0]
    table = (tmp_path / "out" / "tables" / "study_i3_demo_levels.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[1] for line in table[1::2]] == ["4 (reference)", "2", "8"]
    assert "Study i3: Does it?" in made.page.read_text("utf-8")


def test_a_change_in_all_of_eight_tasks_is_written(tmp_path: Path) -> None:
    """p = 2/256 by flipping signs; forgetting does not change, and counts."""
    for at, task in enumerate(TASKS):
        make(tmp_path, task, 0.2 + at / 50, 4)
        make(tmp_path, task, 0.3 + at / 40, 2)
    (section,) = transfer_studies(runs_of(tmp_path))
    assert "gain at 2 differs by 0.12 [0.11, 0.13] (p = .016 by Holm)" in section.sentences[0]


@pytest.mark.parametrize("effects", [2, 8])
def test_where_nothing_is_true_little_is_written(effects: int) -> None:
    """Of studies of noise at most a tenth may have any claim, ± .05: seven tasks, p by flipping signs."""
    from unseen.reporting.statistics.association import sign_flip_p
    from unseen.reporting.statistics.claims import may_be_written

    rng, claimed = np.random.default_rng(0), 0
    for _ in range(150):
        claimed += any(may_be_written([sign_flip_p(one) for one in rng.standard_t(3, size=(effects, 7))]))
    assert claimed / 150 <= 0.15


@pytest.mark.parametrize(
    ("analysis", "sentence", "table"),
    [
        ("forecasts", "is nearer than their mean in", "forecasts"),
        ("weights", "Chosen without the task that it forecasts, it errs less", "weight_choices"),
        ("scores", "lines", "transfer_lines"),
    ],
)
def test_a_study_without_levels_is_answered_by_its_table(
    analysis: str, sentence: str, table: str, tmp_path: Path
) -> None:
    write_study(tmp_path, encoders=("clip",), techniques=("full",), seeds=1)
    about: Mapping[str, Any] = {"name": "i1", "question": "Does it?", "answer": "yes", "analysis": analysis}
    (section,) = sections(tmp_path, about)
    assert any(sentence in text for text in section.sentences)
    assert f"study_i1_demo_{table}" in [one.name for one in section.tables]


def test_a_study_of_too_few_tasks_says_how_many_it_takes(tmp_path: Path) -> None:
    write_study(tmp_path, encoders=("clip",), techniques=("full",), seeds=1)
    runs = runs_of(tmp_path)
    four = sorted({run.facts.data for run in runs})[:4]
    about = {"name": "i2", "question": "Does it?", "answer": "yes", "analysis": "weights"}
    (section,) = transfer_studies([replace(run, study=about) for run in runs if run.facts.data in four])
    assert "Nothing can be said of 4 tasks: it takes 5 with one encoder and technique." in section.sentences


def sections(root: Path, about: Mapping[str, Any]) -> list[StudySection]:
    return transfer_studies([replace(run, study=about) for run in runs_of(root)])


def test_levels_as_text() -> None:
    assert [level_text(one) for one in (1, 1.0, 0.25, True, "full", None)] == [
        "1",
        "1",
        "0.25",
        "true",
        "full",
        "null",
    ]
