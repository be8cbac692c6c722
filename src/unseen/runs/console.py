"""What a person sees: notes, errors, the table of layers, the tables of a sweep."""

from __future__ import annotations

import logging
import math
import statistics
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from unseen.probe_table import SCORES, SHOWN
from unseen.process_rank import is_first_process
from unseen.run_state import RunState
from unseen.scores import CHANCE_PROBE, INPUT_LAYER, SPLITS, ScoreTable
from unseen.selector_table import SELECTORS
from unseen.wording import about_left, as_typed, count

_WIDTH_IN_FILES = 140  # without a terminal rich would fold everything to 80 columns
_COLUMNS = [score for score in SHOWN if score.screen]
# (split, score); the last is left out first where the screen is too narrow for all
_WIDE = 5  # scores of this rank or a later one are for wide screens
_IMPORTANCE = sorted(
    (
        (split, score.name)
        for split in SPLITS
        for score in sorted(_COLUMNS, key=lambda score: score.screen or 0)
    ),
    key=lambda column: (SCORES[column[1]].screen or 0) >= _WIDE,
)
_SHORTEST_NAME = 19  # a layer's name and mark may be cut to so many letters, a number never
_MOST_JOBS_ACROSS = 6  # with more columns nothing can be read
_MOST_VALUES_ACROSS = 10
_OF_A_TASK = ("accuracy_before", "accuracy_after", "gain", "mean_change", "iimm")  # of transfer.py
_NOISY_LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.distributed",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch",
)
_IGNORED_WARNINGS = (
    ".*does not have many workers.*",  # the images are in memory
    ".*This DataLoader will create .* worker processes.*",  # as many as the user typed
    ".*Checkpoint directory .* exists and is not empty.*",  # a resumed run continues in its folder
    ".*The dirpath has changed from.*",  # a run that goes on in a folder of its own has its own best.ckpt
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # between Lightning and torch
    ".*module\\(s\\) in eval mode at the start of training.*",  # batch norms that are not trained
    ".*smaller than the logging interval.*",  # a short run logs its first step
    ".*It is recommended to use `self.log\\(.*sync_dist=True.*",  # what is logged is the same in all processes
    ".*Encountered `nan` values in tensor.*",  # a diverged run is an error of its own
)


def console(*, stderr: bool = False) -> Console:
    """Return a console that does not truncate tables in log files."""
    made = Console(stderr=stderr, highlight=False, markup=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, markup=False, width=_WIDTH_IN_FILES)
    return made


def say(text: str) -> None:
    """Print a line of any length; once, however many processes the run has."""
    if is_first_process():
        console().print(as_typed(text), soft_wrap=True)


def notice(text: str) -> None:
    """Print something that does not stop the run; once, however many processes the run has."""
    if not is_first_process():
        return
    text = as_typed(text)
    if hasattr(
        sys.stderr, "rich_proxied_file"
    ):  # a bar is shown: it makes room for what is written to sys.stderr
        print(f"note: {text}", file=sys.stderr)
    else:
        console(stderr=True).print(Text(f"note: {text}", style="yellow"))


def fail(text: str) -> None:
    """Print in a sentence why the command ends."""
    console(stderr=True).print(Text(f"error: {as_typed(text)}", style="bold red"), soft_wrap=True)


def quiet_libraries() -> None:
    """Turn off Lightning's tips and warnings that do not apply here; a warning of ours is a note, each text once."""
    import lightning.pytorch  # noqa: F401  (its import sets the levels that are changed here)

    from unseen.callbacks.layer_scores import PROBED

    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    shown: set[str] = set()
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not category.__module__.startswith("unseen."):
            before(message, category, *place, **more)
            return
        text = ": ".join(filter(None, (PROBED.get(), str(message))))
        if text not in shown:
            shown.add(text)
            notice(text)

    warnings.showwarning = show


def shown_path(path: Path) -> str:
    """Return the path as seen from the current folder where it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


# ------------------------------------------------------------------ one run
def layer_table(
    scores: ScoreTable, *, title: str, k: Mapping[str, int], width: int = _WIDTH_IN_FILES
) -> Table:
    """Return the table of the last scoring: a row a layer, the raw pixels first, the best layer marked.

    Args:
        scores: Of all evaluations.
        title: Above the table.
        k: Neighbours that NN@k looked at, by split.
        width: Of the screen; scores that have no room beside more important ones are left out (scores.csv has all).
    """
    best = scores.generalization()
    assert best is not None
    cells = {(row.split, row.layer, row.probe): row.value for row in scores.at(best.step)}
    rows = {row.layer: row for row in scores.at(best.step) if row.layer >= INPUT_LAYER}
    marks = {INPUT_LAYER: " (raw pixels)", best.best_layer: " ★ best"}
    longest = max(len(row.layer_name + marks.get(layer, "")) for layer, row in rows.items())

    def table(scores_shown: int, room: int) -> Table:
        made = Table(title=title, title_justify="left")
        made.add_column("layer", justify="right", no_wrap=True)
        made.add_column("name", no_wrap=True)
        made.add_column("depth", justify="right", no_wrap=True)
        columns = [
            (split, score)
            for split in SPLITS
            for score in _COLUMNS
            if (split, score.name) in _IMPORTANCE[:scores_shown]
        ]
        for split, score in columns:
            heading = f"NN@{k[split]}" if score.name == "nnk" and split in k else str(score.heading)
            made.add_column(
                f"{split}\n{heading}".replace("linear probe", "linear\nprobe").replace("R-p", "R-\np"),
                justify="right",
                no_wrap=True,
            )
        for layer, row in sorted(rows.items()):
            made.add_row(
                "" if layer == INPUT_LAYER else str(layer),
                _cut(row.layer_name, marks.get(layer, ""), room),
                "" if row.depth is None else f"{row.depth:.2f}",
                *(_number(cells.get((split, layer, score.name))) for split, score in columns),
                style="bold green" if layer == best.best_layer else "dim" if layer == INPUT_LAYER else None,
                end_section=layer == INPUT_LAYER,
            )
        return made

    unbounded = Console(width=10_000)
    for number in range(len(_IMPORTANCE), 0, -1):
        excess = max(0, unbounded.measure(table(number, longest)).maximum - width)
        if excess == 0 or longest - excess >= _SHORTEST_NAME:
            break
    return table(number, max(longest - excess, 1))


def _cut(name: str, mark: str, room: int) -> str:
    """Return a name and its mark; a long name is cut at its start, where layers are alike."""
    if len(name + mark) <= room:
        return name + mark
    return "…" + name[len(name) + len(mark) + 1 - room :] + mark


def closing_line(
    scores: ScoreTable, *, seen_accuracy: float | None, folder: Path, recommended_by: str | None = None
) -> str:
    """Return the answer: seen accuracy, g and the best layer; what g is to be held against; where the files are.

    With the name of a selector, also the layer that it chooses.
    """
    best = scores.generalization()
    assert best is not None
    nmi, chance = (
        {row.layer: row.value for row in scores.at(best.step, "unseen", probe)}
        for probe in ("nmi", CHANCE_PROBE)
    )
    against = (
        [f"the last layer {_number(nmi[best.num_layers - 1])}"]
        if best.best_layer < best.num_layers - 1
        else []
    )
    if INPUT_LAYER in nmi:
        above = "above" if best.g > nmi[INPUT_LAYER] else "not above"
        against.append(f"raw pixels {_number(nmi[INPUT_LAYER])} (the network is {above} them)")
    if best.best_layer in chance:
        against.append(f"chance {_number(chance[best.best_layer])}")
    accuracy = (
        "not defined (the head was not trained on these classes, or on some of these images)"
        if seen_accuracy is None
        else f"{seen_accuracy:.3f}"
    )
    return (
        f"seen accuracy {accuracy} · g {best.g:.3f} · best layer {best.best_layer} of 0..{best.num_layers - 1} "
        f"({best.best_layer_name}, depth {best.best_depth:.2f})\n"
        f"g is the NMI of the unseen classes at the best layer, 1 at most; {', '.join(against)}\n"
        f"{_recommendation(scores, nmi, recommended_by)}"
        f"files in {shown_path(folder)}"
    )


def _recommendation(scores: ScoreTable, nmi: Mapping[int, float], selector: str | None) -> str:
    choice = scores.choice(SELECTORS[selector]) if selector else None
    if selector is None or choice is None:
        return ""
    return (
        f"recommended without unseen labels: layer {choice.layer} ({choice.layer_name}), NMI "
        f"{_number(nmi[choice.layer])}; it has the {SELECTORS[selector].rule}\n"
    )


# ------------------------------------------------------------------ a sweep
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
    g, accuracy = _number(state.summary.get("g")), _number(state.summary.get("seen_accuracy"))
    name, layer = state.summary.get("best_layer_name"), _layer_of(state.summary)
    if state.summary.get("kind") == "biases":
        values = count(len(state.summary.get("values") or {}), "measure")
        return f"finished: {values}, {_number(state.summary.get('seconds'), '.0f')} s"
    parts = [f"g {g} at {name} (layer {layer})"] if g else []
    parts += [f"seen accuracy {accuracy}"] if accuracy else []
    return "finished: " + ", ".join([*parts, f"{_number(state.summary.get('seconds'), '.0f')} s"])


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
            layer = "–" if row["best_layer"] is None else f"{_layer_of(row)} ({row['best_layer_name']})"
            numbers = (
                _number(row["seen_accuracy"]),
                _number(row["g"]),
                layer,
                _number(row["seconds"], ".0f"),
            )
            jobs.add_row(row["job"], *numbers, "finished")
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
        table.add_row(measure, images, *("–" if number is None else _number(number) for number in numbers))
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
            row["job"], *("–" if number is None else _number(number) for number in values), row["status"]
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
            n = sum(_number(row["g"]) not in {"", "–"} for row in members)
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
    known = [float(value) for value in values if _number(value) not in {"", "–"}]
    return statistics.fmean(known) if known else math.nan


def _spread(values: Sequence[Any]) -> str:
    known = [float(value) for value in values if _number(value) not in {"", "–"}]
    if not known:
        return "–"
    return f"{statistics.fmean(known):.3f}" + (f" ± {statistics.stdev(known):.3f}" if len(known) > 1 else "")


def _layer_of(summary: Mapping[str, Any]) -> str:
    count = summary.get("num_layers")
    return f"{summary.get('best_layer')} of 0..{count - 1 if isinstance(count, int) else '?'}"


def _number(value: Any, shown: str = ".3f") -> str:
    """Return a value of summary.json or scores.csv; a dash for NaN, nothing for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return "–" if math.isnan(value) else f"{value:{shown}}"


def settings_tree(plain: dict[str, Any]) -> Tree:
    """Return resolved settings as a tree, a group a branch."""
    tree = Tree("settings", guide_style="dim")

    def grow(branch: Tree, values: dict[str, Any]) -> None:
        for key, value in values.items():
            if isinstance(value, dict) and value:
                grow(branch.add(Text(str(key), style="bold")), value)
            else:
                branch.add(Text(f"{key}: {value}"))

    grow(tree, plain)
    return tree
