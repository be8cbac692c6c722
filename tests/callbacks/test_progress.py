"""The bars of a run."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress

from unseen.callbacks import progress as module
from unseen.callbacks.progress import PhaseProgress, TimeLeft


def test_the_time_left_is_that_of_the_steps_since_the_start() -> None:
    now = 0.0
    bars = Progress(get_time=lambda: now, auto_refresh=False, console=Console(file=io.StringIO()))
    bars.add_task("training", total=100, completed=60, first=60)
    (task,) = bars.tasks
    assert str(TimeLeft().render(task)) == ""
    now = 30.0  # evaluations on the way included
    bars.update(task.id, completed=70)
    assert str(TimeLeft().render(task)) == "0:01:30 left"  # 30 more steps of 3 s


def test_each_phase_has_a_time_of_its_own() -> None:
    progress = PhaseProgress(Console(file=io.StringIO(), force_terminal=True))
    progress.phase("probing layer 1/3 on seen classes", 0, 3)
    task = progress._bars.tasks[0]
    began = task.start_time
    progress.phase("probing layer 2/3 on seen classes", 1, 3)
    assert task.start_time == began
    progress.phase("probing layer 1/3 on unseen classes", 0, 3)
    assert task.start_time > began
    progress.close()


def test_the_first_evaluation_after_steps_tells_a_log_how_long_the_rest_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From step 100 on: 50 steps and their evaluation take 100 s, so that the other 150 steps take 5 minutes."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    said = io.StringIO()
    shown = PhaseProgress(Console(file=said))
    trainer = SimpleNamespace(
        global_step=100, max_steps=300, estimated_stepping_batches=300, callback_metrics={}
    )
    clock.now = 40.0  # spent on the evaluation before the first step
    shown.on_validation_end(trainer, None)
    shown.on_train_start(trainer, None)
    for step in (150, 200, 300):
        clock.now += 100
        trainer.global_step = step
        shown.on_validation_end(trainer, None)
    assert said.getvalue().splitlines() == [
        "step 100/300", "step 150/300 · about 5 min left", "step 200/300", "step 300/300",
    ]  # fmt: skip
    said.truncate(0)
    shown.on_train_start(trainer, None)
    shown.on_validation_end(trainer, None)  # nothing is left
    assert "left" not in said.getvalue()
