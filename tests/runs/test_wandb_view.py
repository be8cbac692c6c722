"""What is sent to W&B, worked out by hand; and a W&B that refuses everything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from unseen.run_folder import RunFolder, Scoring
from unseen.runs.wandb_view import WandbView, _wide
from unseen.scores import Score, ScoreTable


class Recorded:
    """Stands for a W&B run."""

    name, id = "vit-digits-s0", "abc"

    def __init__(self, *, broken: bool = False) -> None:
        self.logged: list[dict[str, Any]] = []
        self.summary = self
        self.answer: dict[str, Any] = {}
        self._broken = broken

    def log(self, data: dict[str, Any]) -> None:
        if self._broken:
            raise ConnectionError("the service is gone")
        self.logged.append(data)

    def update(self, found: dict[str, Any]) -> None:
        if self._broken:
            raise ConnectionError("the service is gone")
        self.answer.update(found)


def scoring(step: int, values: tuple[float, float]) -> Scoring:
    """Two layers and the raw pixels; the seen classes are always at 0.9."""
    rows = [Score(step, 0, "unseen", -1, "input", None, "nmi", 0.3)]
    for layer, value in enumerate(values):
        for split, score in (("seen", 0.9), ("unseen", value)):
            rows.append(Score(step, 0, split, layer, f"blocks.{layer}", float(layer), "nmi", score))
    return Scoring(step, 0, 0.75, rows, seconds=1.0)


def folder(path: Path) -> RunFolder:
    return RunFolder(path, {"model": "vit", "data": "digits", "size": "demo", "seed": 0})


def test_a_wide_row_is_a_layer_of_a_split() -> None:
    rows = [
        Score(2, 0, "seen", 0, "stem", 0.0, "nmi", 0.5),
        Score(2, 0, "unseen", 0, "stem", 0.0, "nn1", math.nan),
        Score(2, 0, "unseen", 0, "stem", 0.0, "nmi", 0.25),
        Score(2, 0, "unseen", -1, "input", None, "nmi", 0.3),  # raw pixels have no depth
    ]
    assert _wide(rows, ["nmi", "nn1"], "run", every_step=False) == [
        [2, "unseen", "unseen, run", 0, "stem", 0.0, 0.25, None],  # JSON has no NaN
        [2, "seen", "seen, run", 0, "stem", 0.0, 0.5, None],  # a probe that was not run
    ]
    assert _wide(rows[:1], ["nmi"], "run", every_step=True)[0][2] == "seen, step 2, run"


def test_the_answer_is_the_last_evaluations(tmp_path: Path) -> None:
    run = Recorded()
    view = WandbView(folder(tmp_path), run)
    view.record(scoring(0, (0.8, 0.1)))
    view.record(scoring(5, (0.2, 0.4)))
    assert [sorted(data) for data in run.logged] == [
        ["depth/nmi", "trainer/global_step", "unseen/best_depth", "unseen/nmi/last"]
    ] * 2
    assert [data["unseen/nmi/last"] for data in run.logged] == [0.1, 0.4]
    view.close()
    assert run.answer == {
        "unseen/g": 0.4, "unseen/best_layer": 1, "unseen/best_layer_name": "blocks.1", "unseen/best_depth": 1.0,
        "seen/accuracy": 0.75,
    }  # fmt: skip
    assert [data["trainer/global_step"] for data in run.logged] == [0, 5, 5, 5, 5]
    ends = [set(data) - {"trainer/global_step"} for data in run.logged[2:]]
    assert ends == [{"depth_by_step/nmi"}, {"scores"}, {"figures/layers", "figures/g_over_steps"}]


def test_a_run_that_scored_nothing_says_nothing(tmp_path: Path) -> None:
    run = Recorded()
    WandbView(folder(tmp_path), run).close()
    assert (run.logged, run.answer) == ([], {})


def test_what_wandb_refuses_is_told_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    view = WandbView(folder(tmp_path), Recorded(broken=True))
    assert view.record(scoring(0, (0.8, 0.1))).g == 0.8
    view.close()
    assert ScoreTable.read(tmp_path / "scores.csv").steps == [0]
    told = " ".join(capsys.readouterr().err.split())
    for what in ("the curves over depth", "the score table", "the figures", "the summary"):
        assert f"W&B did not get {what}" in caplog.text
        assert f"W&B did not get {what}: ConnectionError: the service is gone" in told
