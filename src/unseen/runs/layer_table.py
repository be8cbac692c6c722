"""What a run answers on the screen: the table of its layers, and the line with g below it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unseen.probe_table import SCORES, SHOWN
from unseen.runs.console import WIDTH_IN_FILES, shown_path
from unseen.runs.written_values import in_table
from unseen.scores import CHANCE_PROBE, INPUT_LAYER, SPLITS, ScoreTable
from unseen.selector_table import SELECTORS

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


def layer_table(
    scores: ScoreTable, *, title: str, k: Mapping[str, int], width: int = WIDTH_IN_FILES
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
                *(in_table(cells.get((split, layer, score.name))) for split, score in columns),
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
        [f"the last layer {in_table(nmi[best.num_layers - 1])}"]
        if best.best_layer < best.num_layers - 1
        else []
    )
    if INPUT_LAYER in nmi:
        above = "above" if best.g > nmi[INPUT_LAYER] else "not above"
        against.append(f"raw pixels {in_table(nmi[INPUT_LAYER])} (the network is {above} them)")
    if best.best_layer in chance:
        against.append(f"chance {in_table(chance[best.best_layer])}")
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
        f"{in_table(nmi[choice.layer])}; it has the {SELECTORS[selector].rule}\n"
    )
