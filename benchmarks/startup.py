"""From the command to its help, and to its first training step: `startup`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.children import run_child, run_until
from benchmarks.rows import Row
from benchmarks.setting import Setting
from benchmarks.timing import spread

LONGEST = 180.0  # seconds; a run that has made no step by then is broken


def startup(setting: Setting) -> list[Row]:
    """Return the rows of `--help` and of the default job."""
    helps, evaluations, steps = [], [], []
    for number in range(setting.pairs):
        helps.append(run_child(["src/train.py", "--help"]))
        with tempfile.TemporaryDirectory() as folder:
            stamp = Path(folder) / "stamp.json"
            began = run_until(
                [
                    "src/train.py",
                    "+callbacks.first_step._target_=benchmarks.first_step.FirstStep",
                    f"+callbacks.first_step.path={stamp}",
                ],
                stamp,
                limit=LONGEST,
                UNSEEN_LOG_DIR=folder,
            )
            times = json.loads(stamp.read_text(encoding="utf-8"))
        evaluations.append(times["evaluation"] - began)
        steps.append(times["step"] - began)
        setting.report(
            f"startup: {number + 1} of {setting.pairs}: --help {helps[-1]:.2f} s, first step {steps[-1]:.2f} s"
        )
    return [
        Row("startup/help", "python src/train.py --help, from start to end", ours=spread(helps), at_most=3.0),
        Row(
            "startup/first_step",
            "python src/train.py, from its start to the end of the first training step; the evaluation at step 0 is in it",
            ours=spread(steps),
            at_most=12.0,
            details={"until_first_evaluation": spread(evaluations)._asdict()},
            notes=[f"the evaluation at step 0 begins after {spread(evaluations).median:.1f} s"],
        ),
    ]
