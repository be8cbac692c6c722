"""The bars of a run."""

import io

from rich.console import Console
from rich.progress import Progress

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
