"""What a W&B run shows beside Lightning's scalars: curves over depth, the answer, the score table, two figures.

Every number is in the run folder first; this is a view of it. So whatever W&B refuses is told and the run goes on.
Steps are a metric (`trainer/global_step`, which Lightning declares the axis of all others), never W&B's own step:
W&B drops what comes with a step below its own count.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any, BinaryIO

from unseen.probe_table import SHOWN, ScoreFacts
from unseen.run_folder import RunFolder, Scoring
from unseen.runs.console import notice
from unseen.runs.run_figures import draw_figures
from unseen.scores import COLUMNS, INPUT_LAYER, SPLITS, Generalization, Score, metric_name
from unseen.wording import one_line

STEP = "trainer/global_step"
_PLACE = ("step", "classes", "line", "layer", "layer_name", "depth")


class WandbView:
    """Hands each evaluation to the run folder, then draws it in the W&B run; for the first process only.

    Args:
        folder: Keeps the scores, with those of the run that is resumed.
        run: The W&B run.
    """

    def __init__(self, folder: RunFolder, run: Any) -> None:
        self._folder = folder
        self._run = run
        self._name = f"{run.name} ({run.id})"  # names of runs repeat: another learning rate, a resumed run
        self._last: tuple[Scoring, Generalization] | None = None

    def record(self, scoring: Scoring) -> Generalization:
        """Keep the evaluation, log a curve over depth for each probe, and the answer so far."""
        best = self._folder.record(scoring)
        self._last = scoring, best
        with _told("the curves over depth"):
            self._run.log(_depth_charts(scoring.scores, self._name) | {STEP: scoring.step})
        self._summarise(scoring, best)
        return best

    def write_embeddings(self, write: Callable[[BinaryIO], object]) -> None:
        """Keep them in the run folder; W&B does not get them."""
        self._folder.write_embeddings(write)

    def close(self) -> None:
        """Log what is worth logging once: every evaluation's curves, the score table, figures, the answer."""
        if self._last is None:
            return
        table, at_end = self._folder.table, {STEP: self._last[0].step}
        if len(table.steps) > 1:
            with _told("the curves of all evaluations"):
                self._run.log(_depth_charts(table, self._name, every_step=True) | at_end)
        with _told("the score table"):
            rows = [[_cell(cell) for cell in astuple(row)] for row in table]
            self._run.log({"scores": _table(COLUMNS, rows)} | at_end)
        with _told("the figures"):
            import wandb

            figures = draw_figures(self._folder)
            self._run.log({f"figures/{name}": wandb.Image(image) for name, image in figures.items()} | at_end)
        # again, for Lightning has logged the same numbers since, in single precision
        self._summarise(*self._last)

    def _summarise(self, scoring: Scoring, best: Generalization) -> None:
        """Say the last scoring's answer; no best over the steps, for the unseen classes must choose nothing."""
        found = {
            metric_name("unseen", "g"): best.g,
            metric_name("unseen", "best_layer"): best.best_layer,
            metric_name("unseen", "best_layer_name"): best.best_layer_name,
            metric_name("unseen", "best_depth"): best.best_depth,
        }
        if scoring.seen_accuracy is not None:
            found[metric_name("seen", "accuracy")] = scoring.seen_accuracy
        with _told("the summary"):
            self._run.summary.update(found)


@dataclass(frozen=True)
class DepthPanel:
    """A chart of one probe over depth, as W&B's presets take it.

    Attributes:
        table_key: Under which its table is logged.
        preset: The chart; one of W&B's own, so that nothing must be set up on the server.
        fields: Which column of the table is what.
        strings: Title and axis.
    """

    table_key: str
    preset: str
    fields: dict[str, str]
    strings: dict[str, str]


def depth_panel(probe: ScoreFacts, *, every_step: bool = False) -> DepthPanel:
    """Return the chart of the last evaluation, or of every one, a line each."""
    when = "every evaluation" if every_step else "last evaluation"
    return DepthPanel(
        f"{_section(every_step)}/scores",
        "wandb/lineseries/v0",
        {"step": "depth", "lineKey": "line", "lineVal": probe.name},
        {"title": f"{probe.heading} over depth, {when}", "xname": "depth (0 first layer, 1 last)"},
    )


def _section(every_step: bool) -> str:
    return "depth_by_step" if every_step else "depth"


def _depth_charts(scores: Iterable[Score], run: str, *, every_step: bool = False) -> dict[str, Any]:
    """Return a chart over depth for each probe that people read, all on one small table.

    W&B gives every chart of `wandb.plot` a table of its own: five files an evaluation, in every job of a sweep. One
    wide table, a column a probe, feeds them all, and the dashboard's charts, too. Its name is the same at every
    evaluation, so a chart shows the last one and the table's history has them all.
    """
    from wandb.plot.custom_chart import CustomChart, CustomChartSpec

    class OnSharedTable(CustomChartSpec):  # type: ignore[misc]  # wandb's types are not followed
        @property
        def table_key(self) -> str:
            return f"{_section(every_step)}/scores"

    rows = list(scores)
    probes = [probe for probe in SHOWN if any(row.probe == probe.name for row in rows)]
    names = [probe.name for probe in probes]
    table = _table([*_PLACE, *names], _wide(rows, names, run, every_step=every_step))
    charts = {}
    for probe in probes:
        panel = depth_panel(probe, every_step=every_step)
        spec = OnSharedTable(panel.preset, panel.fields, panel.strings)
        charts[f"{_section(every_step)}/{probe.name}"] = CustomChart(table, spec)
    return charts


def _wide(rows: Iterable[Score], probes: list[str], run: str, *, every_step: bool) -> list[list[Any]]:
    """Return a row a step, split and layer, shallow to deep; the line's name tells runs apart in one chart."""
    found: dict[tuple[int, str, int], dict[str, Score]] = {}
    for row in rows:
        if row.layer > INPUT_LAYER:
            found.setdefault((row.step, row.split, row.layer), {})[row.probe] = row
    wide = []
    for step, split, layer in sorted(found, key=lambda key: (key[0], SPLITS.index(key[1]), key[2])):
        scores = found[step, split, layer]
        one = next(iter(scores.values()))
        line = f"{split}, step {step}, {run}" if every_step else f"{split}, {run}"
        values = [_cell(scores[probe].value) if probe in scores else None for probe in probes]
        wide.append([step, split, line, layer, one.layer_name, one.depth, *values])
    return wide


def _table(columns: Iterable[str], rows: list[list[Any]]) -> Any:
    import wandb

    return wandb.Table(columns=list(columns), data=rows)


def _cell(value: Any) -> Any:
    """Return None for NaN: JSON has no other word for an undefined number."""
    return None if isinstance(value, float) and math.isnan(value) else value


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn any error of W&B or of drawing into a note and a warning with its trace in the log."""
    try:
        yield
    except Exception as error:
        logging.getLogger(__name__).warning("W&B did not get %s", what, exc_info=True)
        notice(
            f"W&B did not get {what}: {type(error).__name__}: {one_line(error)}; the run folder has all numbers"
        )
