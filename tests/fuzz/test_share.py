"""A share of the lines that run.py tries, and the oracle that judges them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tests.fuzz.execute import run_line, warm
from tests.fuzz.generate import draw
from tests.fuzz.line import Line
from tests.fuzz.oracle import Ended, judge
from tests.fuzz.stage import set_stage
from tests.fuzz.values import steps_of

_LINES = 25  # one of each kind


@pytest.mark.slow
def test_a_share_of_the_lines(tmp_path: Path) -> None:
    python = warm()
    try:
        stage = set_stage(tmp_path / "stage", python)
        failed = []
        for number, line in enumerate(draw(0, _LINES, stage, evenly=True)):
            verdict = run_line(line, tmp_path / str(number), python, timeout=100)
            if verdict.complaints:
                failed.append(f"{verdict.typed}\n  {'; '.join(verdict.complaints)}\n{verdict.tail[-400:]}")
            if verdict.code is None:
                python = warm()
    finally:
        python.end()
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize(
    ("typed", "steps"),
    [
        ({"trainer.max_steps": "5"}, 5),
        # 144 images in batches of 72 are 2 steps an epoch
        ({"trainer.max_steps": "-1", "trainer.max_epochs": "3"}, 6),
        ({"trainer.max_steps": "5", "trainer.max_epochs": "3"}, 5),
        # of 48: 3 batches, of which 2 make a step and the last one another
        ({"trainer.max_steps": "-1", "trainer.max_epochs": "1", "data.batch_size": "48",
          "trainer.accumulate_grad_batches": "2"}, 2),
        # of 143: the single image that is left joins the first batch
        ({"trainer.max_steps": "-1", "trainer.max_epochs": "2", "data.batch_size": "143"}, 2),
    ],
)  # fmt: skip
def test_steps_by_hand(typed: dict[str, str], steps: int) -> None:
    assert steps_of(typed) == steps


def run_folder(folder: Path, *, step: int = 3, checkpoint: int = 3, **summary: Any) -> None:
    """What a run leaves."""
    (folder / "checkpoints").mkdir(parents=True)
    facts = {"status": "finished", "reason": None, "steps": step, "g": 0.5}
    (folder / "summary.json").write_text(json.dumps(facts | summary))
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 1, "probe": {"k": None}}))
    with (folder / "scores.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["step"], [0], [step]])
    torch.save({"global_step": checkpoint}, folder / "checkpoints" / "last.ckpt")


TAKEN = Line("x", "train.py", ("seed=1",), "accepted", jobs=1, settings={"seed": 1, "probe.k": None}, steps=3)
REFUSED = Line("x", "train.py", ("seed=abc",), "refused", names=("seed", "abc"))
SAID = "error: seed='abc' must be a whole number\n"


@pytest.mark.parametrize(
    ("line", "code", "err", "folder", "complaint"),
    [
        (TAKEN, 0, "", {}, ""),
        (TAKEN, None, "", {}, "it did not end"),
        (TAKEN, 1, SAID, None, "refused"),
        (TAKEN, 0, "", None, "0 run folders instead of 1"),
        (TAKEN, 0, "", {"status": "running"}, "claims to run"),
        (TAKEN, 0, "", {"status": "failed", "reason": "x"}, "is failed"),
        (TAKEN, 0, "", {"step": 2}, "ended at step 2 instead of 3"),
        (TAKEN, 0, "", {"checkpoint": 2}, "last.ckpt is of step 2"),
        (TAKEN, 0, "", {"steps": 4}, "summary.json is of step 4, scores.csv of 3"),
        (TAKEN, 0, "Traceback (most recent call last)", {}, "a traceback in its output"),
        (
            Line("x", "train.py", (), "accepted", jobs=1, settings={"seed": True}),
            0,
            "",
            {},
            "config.yaml has seed=1",
        ),
        (Line("x", "train.py", (), "accepted", jobs=1, settings={"probe.n": 1}), 0, "", {}, "has no probe.n"),
        (Line("x", "train.py", (), "accepted", jobs=1, varied=({"seed": 2},)), 0, "", {}, "no job has"),
        (REFUSED, 1, SAID, None, ""),
        (REFUSED, 2, SAID, {"status": "failed", "reason": "x"}, ""),
        (REFUSED, 0, SAID, None, "accepted (exit code 0)"),
        (REFUSED, -9, SAID, None, "exit code -9"),
        (REFUSED, 1, "", None, "0 sentences"),
        (REFUSED, 1, SAID * 2, None, "2 sentences"),
        (REFUSED, 1, "error: something is wrong\n", None, "no word of seed or abc"),
        (REFUSED, 1, SAID, {}, "finished all the same"),
        (REFUSED, 1, SAID, {"status": "failed"}, "failed without a reason"),
    ],
)
def test_the_oracle(
    line: Line, code: int | None, err: str, folder: dict[str, Any] | None, complaint: str, tmp_path: Path
) -> None:
    if folder is not None:
        run_folder(tmp_path / "run", **folder)
    found = judge(line, Ended(code, "", err, [tmp_path]), tmp_path)
    assert found == [] if not complaint else any(complaint in each for each in found), found
