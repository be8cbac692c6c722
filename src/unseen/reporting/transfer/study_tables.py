"""Tables of the report's section on transfer that hold what a study of the tasks found, and the published numbers.

Those that the study's sentences name have its names for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from unseen.reporting.statistics.intervals import Estimate
from unseen.reporting.tables import Cell, Column, Row, Table, shown
from unseen.reporting.transfer.forecasts import Forecast, KnownTasks
from unseen.reporting.transfer.iimm_parts import PARTS, PartFits, WeightChoice
from unseen.reporting.transfer.lines import Line
from unseen.reporting.transfer.published import published_numbers
from unseen.reporting.transfer.study import TransferStudy
from unseen.reporting.transfer.task_runs import OUTCOMES
from unseen.reporting.transfer.techniques import TechniqueDifference
from unseen.reporting.transfer.tuned_tasks import technique_order

_WHERE = (Column("encoder"), Column("technique"), Column("of"))
_TASKS = Column("n", hint="tasks")
_PUBLISHED = {
    "coca_vit_b32": "CoCa", "eva02_b16": "EVA-02", "clip_vit_b32": "CLIP", "siglip_vit_b16": "SigLIP",
}  # fmt: skip
_STATISTICS = {"r2": "R²", "tau": "Kendall's τ"}


def study_tables(study: TransferStudy) -> list[Table]:
    """Return the tables of a study; some may have no rows."""
    return [
        *_of_lines(study.lines),
        _of_parts(study.parts),
        _of_weights(study.weight_choices),
        _of_known_tasks(study.known_tasks),
        _of_forecasts(study.forecasts),
        _of_techniques(study.technique_differences),
    ]


def _of_lines(lines: Sequence[Line]) -> list[Table]:
    note = (
        "Least squares over n tasks of one encoder and technique. 95 % intervals: of the slope by t with n − 2 degrees "
        "of freedom, of R² and of Kendall's τ where there are tasks enough. p of the slope by the order of the "
        "outcomes; p (all) by Holm for all lines of the IIMM, or for all of other measures, times two. Error: mean "
        "absolute error on a task that the line was made without; beside it that of the mean of the other tasks, which "
        "a useful line must beat, and that of lines through shuffled outcomes. Tasks are taken as independent draws."
    )
    columns = (
        *_WHERE, Column("against"), _TASKS, Column("slope", spread=False), Column("R²", 2, spread=False),
        Column("τ", 2, "Kendall's", spread=False), Column("p", probability=True),
        Column("p (all)", probability=True, hint="Holm"), Column("error", hint="on a task left out"),
        Column("of the mean", hint="error of the mean of the other tasks"),
        Column("by chance", hint="error of lines through shuffled outcomes"), Column("verdict"),
    )  # fmt: skip
    of_paper = [line for line in lines if line.measure in PARTS]
    others = [line for line in lines if line.measure not in PARTS]
    return [
        Table(
            "transfer_lines", "IIMM and its parts against gain and forgetting", note, columns, _rows(of_paper)
        ),
        Table("transfer_scores", "Other scores against gain and forgetting", note, columns, _rows(others)),
    ]


def _rows(lines: Sequence[Line]) -> tuple[Row, ...]:
    ordered = sorted(
        lines,
        key=lambda line: (
            line.encoder,
            OUTCOMES.index(line.outcome),
            measure_order(line.measure),
            technique_order(line.technique),
        ),
    )
    return tuple(
        Row((
            line.encoder, line.technique, _outcome(line.outcome), line.measure, line.n,
            _with_ends(line.slope, line.low, line.high, line.n), _with_ends(line.r2, line.r2_low, line.r2_high, line.n),
            _with_ends(line.tau, line.tau_low, line.tau_high, line.n), line.p_order, line.p_adjusted, line.error,
            line.error_of_mean, line.error_by_chance, "may be claimed" if line.may_be_written else "not shown",
        ))
        for line in ordered
    )  # fmt: skip


def measure_order(measure: str) -> tuple[int, str]:
    """Return by what measures are sorted: that of the paper, its parts, all others by name."""
    return (PARTS.index(measure) if measure in PARTS else len(PARTS), measure)


def _with_ends(value: float, low: float, high: float, n: int) -> Estimate:
    return Estimate(value, math.nan, low, high, n)


def _outcome(name: str) -> str:
    return name.replace("_", " ")


def _of_parts(found: Sequence[PartFits]) -> Table:
    rows = [
        Row((one.encoder, one.technique, _outcome(one.outcome), one.n, *(one.r2.get(part) for part in PARTS)))
        for one in found
    ]
    return Table(
        "transfer_parts", "R² of the parts of the IIMM, over the same tasks",
        "IIMM: the mean of inter (images with wrong captions) and intra (images with images); correct: images with "
        "their own captions; inter_text: captions among themselves; gap: distance of mean image and mean caption.",
        (*_WHERE, _TASKS, *(Column(part, 2) for part in PARTS)), tuple(rows),
    )  # fmt: skip


def _of_weights(choices: Sequence[WeightChoice]) -> Table:
    rows = [
        Row((
            one.encoder, one.technique, _outcome(one.outcome), one.n, one.error, one.best_w, one.best_error,
            one.nested_error, f"{one.lowest_w:g} to {one.highest_w:g}",
        ))
        for one in choices
    ]  # fmt: skip
    return Table(
        "weight_choices", "Other weights of the halves of the IIMM",
        "Mean absolute error on a task left out of the line against w · intra + (1 − w) · inter; the IIMM has w = .5. "
        "The best of 11 weights is chosen after all outcomes are known, so its error is too small; the one to read is "
        "that of weights chosen without the task, too.",
        (
            *_WHERE, _TASKS, Column("w = .5"), Column("best w", 1), Column("its error"),
            Column("chosen without the task"), Column("w chosen"),
        ),
        tuple(rows),
    )  # fmt: skip


def _of_known_tasks(found: Sequence[KnownTasks]) -> Table:
    rows = [
        Row((
            one.encoder, one.technique, _outcome(one.outcome), one.n, one.k, one.error, one.error_of_mean, one.covered,
            one.width,
        ))
        for one in found
    ]  # fmt: skip
    return Table(
        "forecasts", "How good forecasts from k known tasks are",
        "Of n tasks k are known, in all ways or in 200 of them; the outcome of the others is forecast by the line "
        "against the IIMM. Mean absolute error, that of the mean of the k tasks, share of the tasks inside the 95 % "
        "interval of the forecast, and its median width.",
        (
            *_WHERE, _TASKS, Column("k", hint="known tasks"), Column("error"), Column("of the mean"),
            Column("covered", 2), Column("width", 2),
        ),
        tuple(rows),
    )  # fmt: skip


def _of_forecasts(found: Sequence[Forecast]) -> Table:
    rows = [
        Row((
            one.encoder, one.technique, _outcome(one.outcome), one.task, one.n, one.value,
            _with_ends(one.forecast, one.low, one.high, one.n),
            _with_ends(one.mean, one.mean_low, one.mean_high, one.n), "yes" if one.extrapolates else "no",
        ))
        for one in found
    ]  # fmt: skip
    return Table(
        "new_tasks", "Forecasts for tasks that were measured and not trained on",
        "By the line against the IIMM of n tasks, and by their mean, each with a 95 % interval for one new task. "
        "Beyond all known tasks nothing shows that the line goes on.",
        (
            *_WHERE, Column("task"), _TASKS, Column("IIMM"), Column("forecast", 2, spread=False),
            Column("by the mean", 2, spread=False), Column("beyond them", hint="IIMM beyond those of all known tasks"),
        ),
        tuple(rows),
    )  # fmt: skip


def _of_techniques(found: Sequence[TechniqueDifference]) -> Table:
    rows = [
        Row((
            one.encoder, _outcome(one.outcome), one.first, one.second, one.n,
            _with_ends(one.difference, one.low, one.high, one.n), one.p, one.p_adjusted,
        ))
        for one in found
    ]  # fmt: skip
    return Table(
        "transfer_techniques", "Techniques against each other, over common tasks",
        "Mean over tasks of the outcome with the first less that with the second [95 % t interval]; p by flipping the "
        "signs of the tasks' differences, and by Holm for all rows.",
        (
            Column("encoder"), Column("of"), Column("first"), Column("second"), _TASKS,
            Column("first − second", spread=False), Column("p", probability=True),
            Column("p (all)", probability=True, hint="Holm, for all rows"),
        ),
        tuple(rows),
    )  # fmt: skip


def published_table() -> Table:
    """Return the numbers of the paper, a column an encoder."""
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    every = published_numbers()
    for one in every:
        same = one.value == one.value_high
        cell = one.value if same else f"{shown(one.value, 2)} to {shown(one.value_high, 2)}"
        rows.setdefault((one.measure, one.statistic), {})[one.encoder] = cell
    others = [name for name in dict.fromkeys(one.encoder for one in every) if name not in _PUBLISHED]
    names = [*_PUBLISHED, *others]
    tasks = " or ".join(sorted({str(one.n) for one in every}))
    sources = ", ".join(dict.fromkeys(one.source for one in every))
    ordered = sorted(rows.items(), key=lambda item: (item[0][1], measure_order(item[0][0])))
    return Table(
        "transfer_published", "The paper's numbers: other encoders, other tasks",
        f"Gain against a measure over {tasks} tasks ({sources}). They are of pretrained CLIP, EVA-02, CoCa and SigLIP "
        "on the paper's tasks: nothing here reproduces them, and a composed encoder does not stand beside them. "
        "Kendall's tau of nine tasks without ties is a multiple of 1/18; NCTI's −0.59 and 0.07 are not, and stand as "
        "published: −0.59 is tau-b with one tied pair, 0.07 is none with fewer than ten.",
        (Column("against"), Column("statistic"), *(Column(_PUBLISHED.get(name, name), 2) for name in names)),
        tuple(
            Row((measure, _STATISTICS[statistic], *(of.get(name) for name in names)))
            for (measure, statistic), of in ordered
        ),
    )  # fmt: skip
