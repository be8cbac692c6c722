"""Accuracy on a task, and its mean over the other tasks, with weights between zero-shot and fine-tuned (WiSE-FT).

Fields of the data: x alpha, y accuracy, lo and hi one standard deviation over seeds below and above it, r of the task
or of the other tasks, n seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

from unseen.reporting.theme import Theme
from unseen.reporting.transfer.interpolations import MEAN_OF_OTHERS, TASK
from unseen.reporting.transfer.tuned_tasks import TunedTask
from unseen.reporting.vega_lite import LEGEND, Spec, deviation, marks, number, reaching, short, sized, tooltip

ALPHA_NOTE = (
    "Accuracy with weights (1 − α) zero-shot + α fine-tuned (Wortsman et al., arXiv 2109.01903), mean over seeds; "
    "band: one standard deviation over seeds each way. The curve is of test images: an α that is chosen on it looks "
    "better than it is."
)
SERIES = {TASK: "the task", MEAN_OF_OTHERS: "mean of the other tasks"}


def alpha_panel(of: TunedTask, domain: tuple[float, float], theme: Theme) -> Spec:
    """Return the curves of one task; `domain` is that of the accuracies of all panels beside it."""
    rows = _rows(of)
    x = number("x", "α", {"domain": [0, 1]}, values=[0, 0.25, 0.5, 0.75, 1], format=".2~f", grid=False)
    y = number("y", "accuracy", {"domain": [short(end) for end in domain], "nice": True}, tickCount=4)
    names = list(SERIES.values())
    legend = None if theme.on_page else LEGEND
    series = {"field": "r", "type": "nominal", "title": "accuracy on", "legend": legend}
    colour = series | {"scale": {"domain": names, "range": series_colours(theme)}}
    shape = series | {"scale": {"domain": names, "range": ["circle", "square"]}}
    place = {"x": x, "y": y, "color": colour}
    layers = [marks("line", place, rows, strokeWidth=2)]
    if any("lo" in row for row in rows):
        layers.insert(0, reaching("area", place, rows, clip=True, opacity=0.18))
    tip = tooltip(
        ("r", "accuracy on"), ("x", "α"), ("y", "accuracy"), ("sd", "sd over seeds"), ("n", "seeds")
    )
    layers.append(
        marks("point", place | {"shape": shape, "tooltip": tip}, rows, filled=True, size=40, opacity=1)
    )
    return sized({"layer": layers}, theme, height=150)


def series_colours(theme: Theme) -> list[str]:
    """Return the colours of the task and of the other tasks."""
    return [theme.seen, theme.unseen]


def domain_of(groups: Sequence[TunedTask]) -> tuple[float, float]:
    """Return the smallest and the largest accuracy of some tasks' curves."""
    found = [row["y"] for of in groups for row in _rows(of)]
    return min(found), max(found)


def _rows(of: TunedTask) -> list[Spec]:
    rows = []
    for alpha in of.alphas:
        for role, name in SERIES.items():
            found = of.at_alpha(alpha, role)
            if not found.n:
                continue
            row: Spec = {"x": alpha, "y": short(found.mean), "r": name, "n": found.n}
            rows.append(row | deviation(found))
    return rows
