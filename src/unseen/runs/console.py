"""What a person sees: notices, the table of layers, the closing line."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from unseen.probe_table import SHOWN
from unseen.process_rank import is_first_process
from unseen.run_state import RunState
from unseen.scores import INPUT_LAYER, SPLITS, Generalization, ScoreTable

# Without a terminal rich would fold everything to 80 columns; a log file has no edge.
_WIDTH_IN_FILES = 140
_COLUMNS = [score for score in SHOWN if score.screen]
# (split, score); the last is left out first where the screen is too narrow for all
_IMPORTANCE = [
    (split, score.name) for score in sorted(_COLUMNS, key=lambda score: score.screen or 0) for split in SPLITS
]
_SHORTEST_NAME = 19  # a layer's name and mark may be cut to so many letters, a number never


def console(*, stderr: bool = False) -> Console:
    """Return a console that does not truncate tables in log files."""
    made = Console(stderr=stderr, highlight=False, markup=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, markup=False, width=_WIDTH_IN_FILES)
    return made


def notice(text: str) -> None:
    """Tell the user something that does not stop the run; once, however many processes the run has."""
    if not is_first_process():
        return
    console(stderr=True).print(Text(f"note: {text}", style="yellow"))


def fail(text: str) -> None:
    """Tell the user in a sentence why the command ends."""
    console(stderr=True).print(Text(f"error: {text}", style="bold red"), soft_wrap=True)


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
    headings = [(score.name, str(score.heading)) for score in _COLUMNS]
    columns = [(split, probe, heading) for split in SPLITS for probe, heading in headings]
    for number in range(len(_IMPORTANCE), 0, -1):
        chosen = [one for one in columns if one[:2] in _IMPORTANCE[:number]]
        table = _layer_table(scores, best, chosen, title=title, k=k)
        name, others = _widths(table)
        if min(name, _SHORTEST_NAME) + others <= width:
            break
    if name + others > width:
        table = _layer_table(scores, best, chosen, title=title, k=k, room=max(width - others, 1))
    return table


def _widths(table: Table) -> tuple[int, int]:
    """Return how wide the column of names is, and everything beside it."""
    widths = []
    for column in table.columns:
        texts = [str(column.header), *map(str, column.cells)]
        widths.append(max(len(line) for text in texts for line in text.split("\n")))
    name = widths.pop(1)
    return name, sum(widths) + 3 * len(table.columns) + 1  # two spaces and a line each


def _cut(name: str, mark: str, room: int | None) -> str:
    """Return a name and its mark; of a long name the end is kept, which tells it from others."""
    if room is None or len(name + mark) <= room:
        return name + mark
    return "…" + name[len(name) + len(mark) + 1 - room :] + mark


def _layer_table(
    scores: ScoreTable,
    best: Generalization,
    columns: Sequence[tuple[str, str, str]],
    *,
    title: str,
    k: Mapping[str, int],
    room: int | None = None,
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("layer", justify="right", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("depth", justify="right", no_wrap=True)
    for split, _, heading in columns:
        shown = f"NN@{k[split]}" if heading == "NN@k" and split in k else heading
        table.add_column(
            f"{split}\n{shown}".replace("linear probe", "linear\nprobe"), justify="right", no_wrap=True
        )
    cells = {(row.split, row.layer, row.probe): row.value for row in scores.at(best.step)}
    places = {row.layer: row for row in scores.at(best.step) if row.layer >= INPUT_LAYER}
    for layer in sorted(places):
        row, is_best = places[layer], layer == best.best_layer
        table.add_row(
            "" if layer == INPUT_LAYER else str(layer),
            _cut(row.layer_name, " (raw pixels)", room)
            if layer == INPUT_LAYER
            else _cut(row.layer_name, " ★ best" if is_best else "", room),
            "" if row.depth is None else f"{row.depth:.2f}",
            *(_number(cells.get((split, layer, probe))) for split, probe, _ in columns),
            style="bold green" if is_best else "dim" if layer == INPUT_LAYER else None,
            end_section=layer == INPUT_LAYER,
        )
    return table


def closing_line(scores: ScoreTable, *, seen_accuracy: float | None, folder: Path) -> str:
    """Return the answer in a line: seen accuracy, g, best layer, where the files are."""
    best = scores.generalization()
    assert best is not None
    accuracy = (
        "not defined (the head was not trained on these classes, or on some of these images)"
        if seen_accuracy is None
        else f"{seen_accuracy:.3f}"
    )
    return (
        f"seen accuracy {accuracy} · g {best.g:.3f} · best layer {best.best_layer} of 0..{best.num_layers - 1} "
        f"({best.best_layer_name}, depth {best.best_depth:.2f}) · files in {shown_path(folder)}"
    )


def shown_path(path: Path) -> str:
    """Return the path as seen from the current folder where it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _number(value: Any, shown: str = ".3f") -> str:
    """Return a value of summary.json or scores.csv; a dash for NaN, nothing for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return "–" if math.isnan(value) else f"{value:{shown}}"


def job_outcome(state: RunState) -> str:
    """Return in a line how a job of a sweep stands; without probes it has no g, an evaluation may have no accuracy."""
    if state.status == "running":
        return "running in another process; it is left to it"
    if state.status != "finished":
        return f"failed: {state.reason}"
    found = state.summary
    place = f"{found.get('best_layer_name')} (layer {found.get('best_layer')} of 0..{_last_layer(found)})"
    parts = [
        f"g {_number(found.get('g'))} at {place}" if _number(found.get("g")) else "",
        f"seen accuracy {_number(found.get('seen_accuracy'))}" if _number(found.get("seen_accuracy")) else "",
        f"{_number(found.get('seconds'), '.0f')} s",
    ]
    return "finished: " + ", ".join(part for part in parts if part)


def sweep_tables(out: Console, rows: Sequence[dict[str, Any]]) -> None:
    """Print a row a job, then mean ± standard deviation over the seeds of everything that differs otherwise."""
    table = Table(title="jobs", title_justify="left")
    for heading in ("job", "seen accuracy", "g", "best layer", "seconds", "status"):
        table.add_column(
            heading,
            justify="right" if heading in {"seen accuracy", "g", "seconds"} else "left",
            overflow="fold",
        )
    for row in rows:
        finished = row["status"] == "finished"
        status = row["status"] if finished else f"{row['status']}: {row['reason'] or 'no reason known'}"
        numbers = (
            (_number(row["seen_accuracy"]), _number(row["g"]), _layer(row), _number(row["seconds"], ".0f"))
            if finished
            else [""] * 4
        )
        table.add_row(row["job"], *numbers, status, style=None if finished else "red")
    out.print(table)
    groups = aggregate(rows)
    summary = Table(title="mean ± standard deviation over seeds", title_justify="left")
    for heading in ("settings", "model", "data", "size", "n", "seen accuracy", "g", "best layer"):
        summary.add_column(heading, justify="right" if heading in {"n", "seen accuracy", "g"} else "left")
    for group in groups:
        summary.add_row(
            *(
                str(group[key])
                for key in ("settings", "model", "data", "size", "n", "seen_accuracy", "g", "best_layer")
            )
        )
    out.print(summary)


def aggregate(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each set of finished jobs that differ only in their seed.

    Means are over the n seeds; the spread is the population standard deviation (ddof 0), as the papers give it.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] == "finished":
            others = " ".join(part for part in row["job"].split() if not part.startswith("seed="))
            groups.setdefault((row["model"], row["data"], row["size"], others), []).append(row)
    found = []
    for (model, data, size, others), members in groups.items():
        layers = Counter(
            f"{member['best_layer']} ({member['best_layer_name']})"
            for member in members
            if member["best_layer"] is not None
        )
        found.append(
            {
                "settings": others or "–",
                "model": model,
                "data": data,
                "size": size,
                "n": len(members),
                "seen_accuracy": _spread([member["seen_accuracy"] for member in members]),
                "g": _spread([member["g"] for member in members]),
                "best_layer": ", ".join(
                    f"{name} ×{count}" if len(members) > 1 else name for name, count in layers.most_common()
                )
                or "–",
            }
        )
    return found


def _spread(values: Sequence[Any]) -> str:
    known = [float(value) for value in values if _number(value) not in {"", "–"}]
    if not known:
        return "–"
    return f"{statistics.fmean(known):.3f}" + (f" ± {statistics.pstdev(known):.3f}" if len(known) > 1 else "")


def _layer(row: dict[str, Any]) -> str:
    if row.get("best_layer") is None:
        return "–"
    return f"{row['best_layer']} of 0..{_last_layer(row)} ({row.get('best_layer_name')})"


def _last_layer(row: dict[str, Any]) -> str:
    count = row.get("num_layers")
    return str(count - 1) if isinstance(count, int) else "?"
