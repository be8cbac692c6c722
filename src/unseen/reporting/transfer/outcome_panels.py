"""Gain, or the mean change of other tasks, against a measure that was taken before training: a panel an encoder.

Fields of the data: x measure, y outcome, lo and hi what lies one standard deviation over seeds below and above it,
t technique, k task, n seeds, p place of a task's name. Of bands lo and hi are the 95 % interval of the line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression

from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.statistics.least_squares import fit
from unseen.reporting.theme import Theme
from unseen.reporting.transfer.lines import Line
from unseen.reporting.transfer.tuned_tasks import TunedTask
from unseen.reporting.vega_lite import LEGEND, Spec, deviation, marks, number, reaching, short, sized, tooltip

OUTCOMES = {
    "gain": "gain: share of zero-shot errors that is gone",
    "mean_change": "mean change of accuracy on the other tasks",
}
OUTCOME_NOTE = (
    "A mark a task, mean over seeds; vertical line through it: one standard deviation over seeds each way. Line and "
    "band: least squares over tasks and the 95 % interval of its mean, from four tasks on; a line is drawn whether or "
    "not it is shown by its test."
)
_PLACES = 41  # of a line, that its band is drawn at
_MARGIN = 0.06  # of the axes, on each side
# of an axis: what lies closer together is at one place, with this on each side
_SMALLEST, _ALONE = 1e-3, 0.02
_NAME_GAP = 0.055  # of the width, between the names of two tasks
_RISE = 26  # pixels from the plot to the names
_LONG_LABEL = 14  # characters: with longer ones a legend has a column less


def outcome_panel(
    groups: Sequence[TunedTask],
    lines: Sequence[Line],
    outcome: str,
    measure: str,
    theme: Theme,
    techniques: Sequence[str],
) -> Spec | None:
    """Return an outcome of one encoder's tasks against a measure; None where no task has both.

    Args:
        groups: Of one encoder.
        lines: Those that are drawn; others are not looked at.
        outcome: A key of `OUTCOMES`.
        measure: Its name in scores.csv.
        theme: Where it is drawn.
        techniques: All of the page, for colours and shapes.
    """
    points = _points(groups, outcome, measure)
    if not points:
        return None
    drawn = [
        line
        for line in lines
        if (line.encoder, line.outcome, line.measure) == (groups[0].encoder, outcome, measure)
    ]
    bands = [row for line in drawn for row in _band(line.technique, points)]
    names = _names(points)
    x_domain = _domain([row["x"] for row in points] + [row["p"] for row in names])
    heights = [row[key] for row in points for key in ("lo", "hi", "y") if key in row]
    y_domain = _domain([0.0, *heights, *(row["y"] for row in bands)])
    x = number(
        "x", f"{measure.upper()} of the task, before training", _fixed(x_domain), tickCount=5, grid=False
    )
    y = number("y", OUTCOMES[outcome], _fixed(y_domain), tickCount=5)
    shown = [name for name in techniques if any(row["t"] == name for row in points)]
    legend = LEGEND | {"columns": _columns(shown), "symbolSize": 70}
    by_technique = {
        "field": "t",
        "type": "nominal",
        "title": "technique",
        "legend": legend | {"values": shown},
    }
    colour = by_technique | {"scale": theme.colours(techniques)}
    shape = by_technique | {"scale": theme.shapes(techniques)}
    place = {"x": x, "y": y, "color": colour}
    layers = [
        marks("rule", {"x": x, "color": {"value": theme.line}}, names),
        marks("rule", {"y": y, "color": {"value": theme.faint}}, [{"y": 0}], strokeWidth=1),
    ]
    if bands:
        layers += [
            reaching("area", place, bands, clip=True, opacity=0.13),
            marks("line", place, bands, clip=True, strokeWidth=2),
        ]
    if any("lo" in row for row in points):
        layers.append(reaching("rule", place, points, strokeWidth=1.3))
    tip = tooltip(
        ("t", "technique"),
        ("k", "task"),
        ("x", measure),
        ("y", outcome),
        ("sd", "sd over seeds"),
        ("n", "seeds"),
    )
    layers.append(
        marks("point", place | {"shape": shape, "tooltip": tip}, points, filled=True, size=55, opacity=1)
    )
    layers += _name_layers(names, x, theme)
    return sized({"layer": layers}, theme, height=280)


def _points(groups: Sequence[TunedTask], outcome: str, measure: str) -> list[Spec]:
    rows = []
    for of in groups:
        found = of.outcome(outcome)
        if of.point is None or not found.n or measure not in of.point.measures:
            continue
        row: Spec = {"x": short(of.point.measures[measure]), "y": short(found.mean), "n": found.n}
        row |= {"t": of.technique, "k": of.task} | deviation(found)
        rows.append(row)
    return rows


def _band(technique: str, points: Sequence[Spec]) -> list[Spec]:
    of_line = [row for row in points if row["t"] == technique]
    x, y = (np.array([row[key] for row in of_line], dtype=float) for key in ("x", "y"))
    line = fit(x, y)
    at = np.linspace(line.least, line.most, _PLACES)
    return [
        {"t": technique, "x": short(place), "y": short(mean), "lo": short(low), "hi": short(high)}
        for place, mean, low, high in zip(at, line.at(at), *line.band(at), strict=True)
    ]


def _names(points: Sequence[Spec]) -> list[Spec]:
    """Return the tasks at their places on the x axis, and places for their names at which none covers another."""
    of_task: dict[str, list[float]] = defaultdict(list)
    for row in points:
        of_task[row["k"]].append(row["x"])
    mean = {task: float(np.mean(found)) for task, found in of_task.items()}
    tasks = sorted(mean, key=mean.__getitem__)
    x = np.array([mean[task] for task in tasks])
    places = apart(x, _NAME_GAP * max(float(np.ptp(x)), _SMALLEST) * (1 + 2 * _MARGIN))
    return [
        {"k": task, "x": short(at), "p": short(place)}
        for task, at, place in zip(tasks, x.tolist(), places.tolist(), strict=True)
    ]


def apart(x: Floats, gap: float) -> Floats:
    """Return places in the order of x that are `gap` apart at least, as near to x as squares can tell.

    >>> apart(np.array([0.0, 0.1, 5.0]), 1.0).tolist()
    [-0.45, 0.55, 5.0]
    """
    steps = gap * np.arange(len(x))
    return np.asarray(isotonic_regression(x - steps).x + steps).round(12)


def _name_layers(names: Sequence[Spec], x: Spec, theme: Theme) -> list[Spec]:
    at_name = x | {"field": "p"}
    leader = {"x": at_name, "x2": {"field": "x"}, "y": {"value": -_RISE + 4}, "y2": {"value": 0}}
    text = {"x": at_name, "y": {"value": -_RISE}, "text": {"field": "k"}, "color": {"value": theme.ink}}
    return [
        marks("rule", leader | {"color": {"value": theme.line}}, names),
        marks("text", text, names, angle=-40, align="left", baseline="middle", fontSize=10, limit=130),
    ]


def _domain(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low) if high - low > _SMALLEST else _ALONE
    return low - margin, high + margin


def _fixed(domain: tuple[float, float]) -> Spec:
    return {"domain": [short(end) for end in domain], "nice": False}


def _columns(names: Sequence[str]) -> int:
    if max(map(len, names)) > _LONG_LABEL:
        return 1
    return len(names) // 2 if len(names) == 4 else min(len(names), 3)  # two and two, not three and one
