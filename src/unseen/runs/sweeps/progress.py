"""How a sweep goes, on the screen: the line that is written again and again, and how each job ended."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence

from unseen.run_state import RunState
from unseen.runs.console import console
from unseen.runs.written_values import best_layer, in_table
from unseen.wording import about_left, count


class StatusLine:
    """The last line of a terminal, written again and again; nothing where there is no terminal.

    A bar of rich would need a thread, and the jobs of a sweep are forked from this process.
    """

    def __init__(self) -> None:
        self._console = console()
        self._shown = ""

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._console.is_terminal and text != self._shown:
            self.clear()
            self._shown = text
            sys.stdout.write(text[: self._console.width - 1])
            sys.stdout.flush()

    def clear(self) -> None:
        """Take the line away, before others are printed."""
        if self._shown:
            sys.stdout.write("\r\x1b[2K")
            sys.stdout.flush()
        self._shown = ""


def time_left(seconds: Sequence[float], open_jobs: int, at_a_time: int = 1) -> str:
    """Return about how long the jobs still take that have not ended, from those that have; empty: it is not known.

    >>> time_left([100, 140], open_jobs=3), time_left([], open_jobs=3), time_left([20], open_jobs=0)
    ('about 6 min left', '', '')
    """
    if not seconds or not open_jobs:
        return ""
    return about_left(statistics.fmean(seconds) * math.ceil(open_jobs / at_a_time))


def job_outcome(state: RunState) -> str:
    """Return in a line how a job of a sweep stands; without probes it has no g, an evaluation may have no accuracy."""
    if state.status == "running":
        return "running in another process; it is left to it"
    if state.status != "finished":
        return f"failed: {state.reason}"
    g, accuracy = in_table(state.summary.get("g")), in_table(state.summary.get("seen_accuracy"))
    name, layer = state.summary.get("best_layer_name"), best_layer(state.summary)
    if state.summary.get("kind") == "biases":
        values = count(len(state.summary.get("values") or {}), "measure")
        return f"finished: {values}, {in_table(state.summary.get('seconds'), '.0f')} s"
    parts = [f"g {g} at {name} (layer {layer})"] if g else []
    parts += [f"seen accuracy {accuracy}"] if accuracy else []
    return "finished: " + ", ".join([*parts, f"{in_table(state.summary.get('seconds'), '.0f')} s"])
