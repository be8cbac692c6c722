"""Heat maps of a technique: change of accuracy on every task that was tested, after training on each.

Fields of the data: a trained on, b tested on, v change of accuracy, s its text, sd and n over seeds, own whether the
task is the one that it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

from unseen.reporting.number_texts import signed
from unseen.reporting.statistics.intervals import Estimate
from unseen.reporting.theme import Theme
from unseen.reporting.transfer.transfer_runs import CHANGE
from unseen.reporting.transfer.tuned_tasks import TunedTask
from unseen.reporting.vega_lite import Spec, marks, short, tooltip

_CELL = (40, 26)  # pixels
_FRAME = (0.84, 0.76)  # of a cell
_LONGEST_NAME = 150  # pixels
CHANGES_NOTE = (
    "Change of accuracy on the task of a column after training on that of a row, mean over seeds; framed: the task "
    "itself. Blue: more accurate than before, orange: less; one scale for all panels. No cell: not tested."
)


def change_map(groups: Sequence[TunedTask], tasks: Sequence[str], reach: float, theme: Theme) -> Spec:
    """Return the changes of one encoder and technique.

    Args:
        groups: Its tasks.
        tasks: All of the encoder, in their order.
        reach: Largest change of the page, either way: the end of the colours.
        theme: Where it is drawn.
    """
    cells = [
        _cell(of.task, tested, of.over_seeds(written, CHANGE))
        for of in groups
        for tested, written in of.tested.items()
    ]
    rows = [task for task in tasks if any(cell["a"] == task for cell in cells)]
    columns = [task for task in tasks if any(cell["b"] == task for cell in cells)]
    x: Spec = {"field": "b", "type": "nominal", "sort": columns, "title": "tested on"}
    x["axis"] = {
        "labelAngle": -40,
        "labelLimit": _LONGEST_NAME,
        "domain": False,
        "ticks": False,
        "orient": "bottom",
    }
    y: Spec = {"field": "a", "type": "nominal", "sort": rows, "title": "trained on"}
    y["axis"] = {"labelLimit": _LONGEST_NAME, "domain": False, "ticks": False}
    scale = {"domain": [-reach, 0, reach], "range": ["#b35806", "#f7f7f7", "#2166ac"], "type": "linear"}
    legend = {
        "title": "change of accuracy",
        "orient": "top",
        "gradientThickness": 8,
        "gradientLength": 130,
        "values": [-reach, 0, reach],
        "labelExpr": "datum.value == 0 ? '0' : format(datum.value, '+.2f')",
    }
    colour = {"field": "v", "type": "quantitative", "scale": scale, "legend": legend}
    tip = tooltip(
        ("a", "trained on"),
        ("b", "tested on"),
        ("v", "change of accuracy"),
        ("sd", "sd over seeds"),
        ("n", "seeds"),
    )
    place = {"x": x, "y": y}
    ink = {"condition": {"test": f"abs(datum.v) > {0.6 * reach}", "value": "#ffffff"}, "value": "#111111"}
    layers = [
        marks("rect", place | {"color": colour, "tooltip": tip}, cells, stroke=theme.panel, strokeWidth=2),
        marks("text", place | {"text": {"field": "s"}, "color": ink}, cells, fontSize=10),
    ]
    framed = [cell for cell in cells if cell["own"]]
    if framed:
        inside: Spec = {"width": {"band": _FRAME[0]}, "height": {"band": _FRAME[1]}, "strokeWidth": 1.5}
        layers.append(marks("rect", place | {"stroke": ink}, framed, filled=False, **inside))
    width, height = _CELL
    return {
        "layer": layers,
        "width": width * len(columns),
        "height": height * len(rows),
        "config": theme.config(),
    }


def reach_of(groups: Sequence[TunedTask]) -> float:
    """Return the largest change of accuracy of any task, either way."""
    changes = [abs(of.over_seeds(written, CHANGE).mean) for of in groups for written in of.tested.values()]
    return max([*changes, 0.01])


def _cell(trained_on: str, tested_on: str, change: Estimate) -> Spec:
    rounded = round(change.mean, 2)
    text = signed(rounded, "+.2f").replace("0.", ".", 1) if rounded else "0"
    row: Spec = {"a": trained_on, "b": tested_on, "v": short(change.mean), "n": change.n, "s": text}
    return row | {"sd": short(change.std), "own": trained_on == tested_on}
