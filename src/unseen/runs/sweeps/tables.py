"""The tables of a sweep: a row a job, and means over the seeds of what differs otherwise."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from unseen.runs.written_values import best_layer, in_table

_MOST_JOBS_ACROSS = 6  # with more columns nothing can be read
_MOST_VALUES_ACROSS = 10
_OF_A_TASK = ("accuracy_before", "accuracy_after", "gain", "mean_change", "iimm")  # of transfer.py


def sweep_tables(out: Console, rows: Sequence[dict[str, Any]]) -> None:
    """Print a row a job, then means over the seeds of everything that differs otherwise, a row a class split.

    Of networks whose biases were measured, and of fine-tuned encoders: their values, of few jobs a column a job.
    """
    if any(row.get("values") for row in rows):
        out.print(_values_table(rows) if len(rows) <= _MOST_JOBS_ACROSS else _values_by_row(rows))
        for row in rows:
            if row["status"] != "finished":
                reason = row["reason"] or "no reason known"
                out.print(f"{row['job']}: {row['status']}: {reason}", soft_wrap=True)
        return
    jobs = _table("jobs", ("job", "seen accuracy", "g", "best layer", "seconds", "status"), overflow="fold")
    for row in rows:
        if row["status"] == "finished":
            layer = "–" if row["best_layer"] is None else f"{best_layer(row)} ({row['best_layer_name']})"
            scores, seconds = map(in_table, (row["seen_accuracy"], row["g"])), in_table(row["seconds"], ".0f")
            jobs.add_row(row["job"], *scores, layer, seconds, "finished")
        else:
            status = f"{row['status']}: {row['reason'] or 'no reason known'}"
            jobs.add_row(row["job"], "", "", "", "", status, style="red")
    headings = (
        "settings",
        "model",
        "data",
        "size",
        "unseen classes",
        "n",
        "seen accuracy",
        "g",
        "best layer",
    )
    means = _table("mean ± sample standard deviation over n seeds; over n splits of their means", headings)
    for group in aggregate(rows):
        means.add_row(*(str(group[heading]) for heading in headings))
    out.print(jobs)
    out.print(means)


def _values_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="values by job", title_justify="left")
    table.add_column("measure", no_wrap=True)
    table.add_column("images", no_wrap=True)
    for row in rows:
        table.add_column(row["job"], justify="right", overflow="fold")
    found = [row.get("values") or {} for row in rows]
    for measure, images in dict.fromkeys(
        (name, one) for values in found for name in values for one in values[name]
    ):
        numbers = (values.get(measure, {}).get(images, "") for values in found)
        table.add_row(measure, images, *("–" if number is None else in_table(number) for number in numbers))
    table.add_section()
    table.add_row("", "status", *(row["status"] for row in rows))
    return table


def _values_by_row(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a row a job: of an encoder its own task's values, of a network the first ones."""
    found = [row.get("values") or {} for row in rows]
    if any("accuracy_before" in values for values in found):
        columns = list(_OF_A_TASK)
        cells = [
            [_of_task(values, row["data"], name) for name in _OF_A_TASK]
            for row, values in zip(rows, found, strict=True)
        ]
    else:
        keys = list(dict.fromkeys((name, one) for values in found for name in values for one in values[name]))
        columns = [f"{name} {one}" for name, one in keys[:_MOST_VALUES_ACROSS]]
        cells = [
            [values.get(name, {}).get(one) for name, one in keys[:_MOST_VALUES_ACROSS]] for values in found
        ]
    table = Table(title="values by job; sweep.csv has all", title_justify="left")
    table.add_column("job", overflow="fold")
    for heading in (*columns, "status"):
        table.add_column(heading.replace("_", " "), justify="right", overflow="fold")
    for row, values in zip(rows, cells, strict=True):
        table.add_row(
            row["job"], *("–" if number is None else in_table(number) for number in values), row["status"]
        )
    return table


def _of_task(values: Mapping[str, Mapping[str, Any]], task: str | None, name: str) -> Any:
    of_tasks = values.get(name, {})
    return of_tasks.get(str(task), of_tasks.get("other tasks"))


def _table(title: str, headings: Sequence[str], **settings: Any) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        is_number = heading in {"n", "seen accuracy", "g", "seconds"}
        table.add_column(heading, justify="right" if is_number else "left", **settings)
    return table


_SPLIT_SETTINGS = ("data.split_seed=", "data.unseen=")


def configuration_of(job: str) -> str:
    """Return what was typed for a job without its seed and its choice of classes.

    >>> configuration_of("model=vit data.split_seed=1 seed=0")
    'model=vit'
    """
    return " ".join(part for part in job.split() if not part.startswith(("seed=", *_SPLIT_SETTINGS)))


def aggregate(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the means of finished jobs that differ only in their seed and their class split.

    A row for each class split, over its n seeds that have a g; then, of several splits, one over the n splits, whose
    spread is that of the splits' means. Spreads are sample standard deviations (ddof 1).
    """
    groups: dict[tuple[Any, ...], dict[Any, list[dict[str, Any]]]] = {}
    for row in rows:
        if row["status"] == "finished":
            key = (configuration_of(row["job"]) or "–", row["model"], row["data"], row["size"])
            groups.setdefault(key, {}).setdefault(row.get("split_hash"), []).append(row)
    found = []
    for key, splits in groups.items():
        about = dict(zip(("settings", "model", "data", "size"), key, strict=True))
        for members in splits.values():
            scores = {name: _spread([row[source] for row in members]) for name, source in _AVERAGED}
            n = sum(in_table(row["g"]) not in {"", "–"} for row in members)
            classes = {"unseen classes": members[0].get("unseen") or "–", "n": n}
            found.append(about | classes | scores | {"best layer": _best_layers(members)})
        if len(splits) > 1:
            scores = {
                name: _spread([_mean([row[source] for row in members]) for members in splits.values()])
                for name, source in _AVERAGED
            }
            classes = {"unseen classes": "all splits", "n": len(splits)}
            every = [row for members in splits.values() for row in members]
            found.append(about | classes | scores | {"best layer": _best_layers(every)})
    return found


_AVERAGED = (("seen accuracy", "seen_accuracy"), ("g", "g"))


def _best_layers(members: Sequence[dict[str, Any]]) -> str:
    layers = Counter(
        f"{row['best_layer']} ({row['best_layer_name']})" for row in members if row["best_layer"] is not None
    ).most_common()
    return ", ".join(f"{layer} ×{count}" if len(members) > 1 else layer for layer, count in layers) or "–"


def _mean(values: Sequence[Any]) -> float:
    known = [float(value) for value in values if in_table(value) not in {"", "–"}]
    return statistics.fmean(known) if known else math.nan


def _spread(values: Sequence[Any]) -> str:
    known = [float(value) for value in values if in_table(value) not in {"", "–"}]
    if not known:
        return "–"
    return f"{statistics.fmean(known):.3f}" + (f" ± {statistics.stdev(known):.3f}" if len(known) > 1 else "")
