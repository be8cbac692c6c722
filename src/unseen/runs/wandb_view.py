"""A W&B run beside a run: a few scalars, curves over depth, the answer, the score table, two figures.

Every number is in the run folder first, so an error of W&B is a note and never stops the run. Steps are a metric
(`trainer/global_step`, which Lightning declares the axis of all others), never W&B's own step: W&B drops what comes
with a step below its own count.
"""

from __future__ import annotations

import io
import logging
import math
import os
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import wandb
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from wandb.plot.custom_chart import CustomChart, CustomChartSpec

from unseen.probe_table import SHOWN
from unseen.process_rank import is_first_process
from unseen.run_folder import RunFolder, Scoring
from unseen.runs.console import notice
from unseen.runs.dashboard import DEPTH, LAST_LAYER, RAW_PIXELS, STEP, depth_chart, depth_section
from unseen.scores import COLUMNS, INPUT_LAYER, SPLITS, Generalization, Score, metric_name
from unseen.wording import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

_PATIENCE = {"init_timeout": 20.0, "finish_timeout": 300.0}  # seconds; W&B's own are 90 and without end
_PLACE = ("step", "classes", "line", "layer", "layer_name", "depth")
_SCALE = 2  # of figures of 300 x 190 points: sharp on a screen, some 30 kB


@contextmanager
def _noted(what: str, *, silent: bool = False) -> Iterator[None]:
    """Turn any error of W&B or of drawing into a warning with its trace in the log, and a note unless `silent`."""
    try:
        yield
    except Exception as error:
        logging.getLogger(__name__).warning("W&B did not get %s", what, exc_info=True)
        if not silent:
            notice(
                f"W&B did not get {what}: {type(error).__name__}: {one_line(error)}; the run goes on, its folder has "
                "all numbers"
            )


# ------------------------------------------------------------------ the logger
class PatientWandbLogger(WandbLogger):
    """Lightning's logger, of which no error reaches the training; only the first is noted.

    Args:
        settings: Of `WandbLogger` and `wandb.init`.
    """

    def __init__(self, **settings: Any) -> None:
        # bounds on W&B's time where the user has set none; older versions do not have all
        bounds = {
            name: seconds
            for name, seconds in _PATIENCE.items()
            if name in wandb.Settings.model_fields and not os.environ.get(f"WANDB_{name.upper()}")
        }
        super().__init__(settings=wandb.Settings(**bounds), **settings)
        self._wandb_init.pop("anonymous", None)  # Lightning always sends it, and W&B warns of it each time
        self._is_broken = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send scalars, but for those of single layers: hundreds of columns, which tables and charts show at once."""
        kept = {name: value for name, value in metrics.items() if not _is_of_a_layer(name)}
        with self._noted_once("the metrics"):
            super().log_metrics(kept, step)

    def log_table(self, key: str, *arguments: Any, **content: Any) -> None:
        """Send a table."""
        with self._noted_once(f"the table {key}"):
            super().log_table(key, *arguments, **content)

    def log_hyperparams(self, params: Any) -> None:
        """Send the configuration; what W&B's own sweep has set stays (model), ours is beside it (model_settings)."""
        with self._noted_once("the configuration"):
            held = self.experiment.config.keys() if is_first_process() else ()
            ours = {
                f"{key}_settings" if key in held else key: value
                for key, value in params.items()
                if key not in held or isinstance(value, dict)
            }
            super().log_hyperparams(ours)

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Send checkpoints, if log_model is set."""
        with self._noted_once("a checkpoint"):
            super().after_save_checkpoint(checkpoint_callback)

    def finalize(self, status: str) -> None:
        """Send the checkpoints that are left."""
        with self._noted_once("the checkpoints"):
            super().finalize(status)

    @contextmanager
    def _noted_once(self, what: str) -> Iterator[None]:
        before, self._is_broken = self._is_broken, True
        with _noted(what, silent=before):
            yield
            self._is_broken = before


def _is_of_a_layer(name: str) -> bool:
    """Whether a metric is a probe of one layer or of the raw pixels; their NMI, which g is compared with, is not."""
    return name.startswith(SPLITS) and name.count("/") > 1 and name != RAW_PIXELS


def started_logger(
    folder: Path, *, offline: bool, log_model: bool | Literal["all"], settings: Mapping[str, Any]
) -> WandbLogger:
    """Return a logger whose W&B run has begun: online, or offline if W&B cannot be reached or refuses.

    Args:
        folder: Gets W&B's files.
        offline: Do not try to reach W&B.
        log_model: Whether checkpoints are uploaded: at the end (true) or each ("all").
        settings: Of `WandbLogger` and `wandb.init`.

    Raises:
        ValueError: The settings are none that W&B takes, online or offline.
    """
    known = {"save_dir": str(folder), **settings}
    if not is_first_process():
        return PatientWandbLogger(offline=True, **known)  # its run is the first process's
    before = _runs(folder)
    if not offline:
        try:
            return _begun(PatientWandbLogger(log_model=log_model, **known))
        except Exception as error:
            logging.getLogger(__name__).warning("W&B did not begin a run", exc_info=True)
            wandb.teardown(exit_code=1)
            os.environ.pop("WANDB_API_KEY", None)  # one that is malformed is an error offline, too
            for path in _runs(folder) - before:
                shutil.rmtree(path, ignore_errors=True)
            notice(
                f"W&B could not begin this run ({_short(error)}); it is logged offline under {folder}/wandb, upload it "
                "later with `wandb sync`"
            )
    if log_model:
        notice("logger.wandb.log_model: nothing is uploaded offline; the checkpoints are in the run folder")
    try:
        return _begun(PatientWandbLogger(offline=True, **known))
    except Exception as error:
        raise ValueError(f"W&B takes no run with these settings of logger.wandb: {_short(error)}") from error


def _begun(logger: PatientWandbLogger) -> PatientWandbLogger:
    _ = logger.experiment  # begins the run
    return logger


def _runs(folder: Path) -> set[Path]:
    return {path for path in (folder / "wandb").glob("run-*") if path.is_dir() and not path.is_symlink()}


def _short(error: BaseException) -> str:
    return textwrap.shorten(one_line(error), 300, placeholder=" …")


# ------------------------------------------------------------------ what is not a scalar
class WandbView:
    """Passes each evaluation to the run folder, then draws it in the W&B run; for the first process only.

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
        with _noted("the curves over depth"):
            scalars = {DEPTH: best.best_depth, LAST_LAYER: _last_layer(scoring.scores), STEP: scoring.step}
            self._run.log(_depth_charts(scoring.scores, self._name) | scalars)
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
            with _noted("the curves of all evaluations"):
                self._run.log(_depth_charts(table, self._name, every_step=True) | at_end)
        with _noted("the score table"):
            rows = [[_cell(cell) for cell in astuple(row)] for row in table]
            self._run.log({"scores": wandb.Table(columns=list(COLUMNS), data=rows)} | at_end)
        with _noted("the figures"):
            figures = draw_figures(self._folder)
            self._run.log({f"figures/{name}": wandb.Image(image) for name, image in figures.items()} | at_end)
        # again, for Lightning has logged the same numbers since, in single precision
        self._summarise(*self._last)

    def _summarise(self, scoring: Scoring, best: Generalization) -> None:
        """Send the last scoring's answer; not the best of all steps: unseen classes select nothing."""
        found = {
            metric_name("unseen", "g"): best.g,
            metric_name("unseen", "best_layer"): best.best_layer,
            metric_name("unseen", "best_layer_name"): best.best_layer_name,
            DEPTH: best.best_depth,
        }
        if scoring.seen_accuracy is not None:
            found[metric_name("seen", "accuracy")] = scoring.seen_accuracy
        with _noted("the summary"):
            self._run.summary.update(found)


def _last_layer(scores: Iterable[Score]) -> float | None:
    """Return the NMI of the deepest layer on unseen classes."""
    last = max(
        (row for row in scores if (row.split, row.probe) == ("unseen", "nmi")), key=lambda row: row.layer
    )
    return _cell(last.value)  # type: ignore[no-any-return]


def _depth_charts(scores: Iterable[Score], run: str, *, every_step: bool = False) -> dict[str, Any]:
    """Return a chart over depth for each probe that people read, all on one small table.

    W&B gives every chart of `wandb.plot` a table of its own: five files an evaluation, in every job of a sweep. One
    wide table, a column a probe, serves them all, and the dashboard's charts, too. Its name is the same at every
    evaluation, so a chart shows the last one and the table's history has them all.
    """
    section = depth_section(every_step=every_step)

    class OnSharedTable(CustomChartSpec):  # type: ignore[misc]  # wandb's types are not followed
        table_key = f"{section}/scores"

    rows = list(scores)
    probes = [probe for probe in SHOWN if any(row.probe == probe.name for row in rows)]
    names = [probe.name for probe in probes]
    wide = _wide(rows, names, run, every_step=every_step)
    table = wandb.Table(columns=[*_PLACE, *names], data=wide)
    charts = {}
    for probe in probes:
        chart = depth_chart(probe, every_step=every_step)
        spec = OnSharedTable(chart["chart_name"], chart["chart_fields"], chart["chart_strings"])
        charts[f"{section}/{probe.name}"] = CustomChart(table, spec)
    return charts


def _wide(rows: Iterable[Score], probes: list[str], run: str, *, every_step: bool) -> list[list[Any]]:
    """Return a row a step, split and layer, shallow to deep; the line's name includes the run's."""
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


def _cell(value: Any) -> Any:
    """Return None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value


def draw_figures(folder: RunFolder) -> dict[str, Image]:
    """Return `layers`, the NMI over the layers at the last step, and, of several evaluations, `g_over_steps`."""
    import vl_convert
    from PIL import Image

    from unseen.reporting.layers.configuration import Configuration
    from unseen.reporting.layers.figures import layer_curves, over_steps
    from unseen.reporting.layers.scored_runs import Run
    from unseen.reporting.run_files import Facts, arrays_of, checked
    from unseen.reporting.theme import FILES

    facts = checked(Facts, folder.summary)
    scores = arrays_of(folder.table, facts.seen_accuracy)
    one = Configuration((Run(folder.path, folder.path.name, facts, {}, scores),))
    where = f"{facts.model} on {facts.data}, seed {facts.seed}"
    specs = {"layers": layer_curves(one, FILES) | {"title": f"NMI, {where}, step {facts.steps}"}}
    if len(scores.steps) > 1:
        specs["g_over_steps"] = over_steps([one], FILES, what="g") | {"title": f"g, {where}"}
    return {
        name: Image.open(io.BytesIO(vl_convert.vegalite_to_png(spec | {"padding": 12}, scale=_SCALE)))
        for name, spec in specs.items()
    }
