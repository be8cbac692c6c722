"""The dashboard of a W&B project as code: which network, which layer, how it came about, and all runs in a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from unseen.probe_table import SHOWN, ScoreFacts
from unseen.scores import INPUT_LAYER, metric_name

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

STEP = "trainer/global_step"
G = metric_name("unseen", "g")
DEPTH = metric_name("unseen", "best_depth")
LAST_LAYER = metric_name("unseen", "nmi") + "/last"
RAW_PIXELS = metric_name("unseen", "nmi", INPUT_LAYER)
ACCURACY = metric_name("seen", "accuracy")
_MODEL = "model.name"
# the columns of the run table, as W&B names them: a nested setting has `value` after its first part
_COLUMNS = (
    "run:displayName",
    "config:model.value.name",
    "config:data.value.name",
    "config:seed.value",
    f"summary:{G}",
    f"summary:{metric_name('unseen', 'best_layer_name')}",
    f"summary:{DEPTH}",
    f"summary:{ACCURACY}",
)
_MOST_RUNS = 100


def workspace(project: str, entity: str, name: str) -> Workspace:
    """Return the dashboard; nothing is sent.

    Runs that crashed or failed are left out: a resumed run has the scores of the one that it goes on from.
    """
    import wandb_workspaces.reports.v2 as panels
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces.expr import And, Metric, Ordering, Summary

    model = panels.Config(_MODEL)
    accuracy, g = panels.SummaryMetric(ACCURACY), panels.SummaryMetric(G)
    answer = [
        panels.ScatterPlot(title="g against accuracy on seen classes", x=accuracy, y=g),
        panels.BarPlot(
            title="g by network, mean and standard deviation over runs",
            metrics=[G], groupby=model, groupby_aggfunc="mean", groupby_rangefunc="stddev",
        ),
        panels.RunComparer(diff_only="split"),
    ]  # fmt: skip
    query = {"summaryTable": {"tableKey": f"{depth_section()}/scores"}}
    depth = [
        *(panels.CustomChart(query=query, **depth_chart(probe)) for probe in SHOWN),
        panels.MediaBrowser(title="NMI of every layer, beside raw pixels", media_keys=["figures/layers"]),
    ]
    steps = [
        panels.LinePlot(
            title="g over training", x=STEP, y=[G],
            groupby=model, groupby_aggfunc="mean", groupby_rangefunc="stddev",
        ),
        panels.LinePlot(
            title="NMI of unseen classes over training: best layer (g), last layer, raw pixels",
            x=STEP, y=[G, LAST_LAYER, RAW_PIXELS], max_runs_to_show=_MOST_RUNS,
        ),
        panels.LinePlot(
            title="accuracy on seen classes", x=STEP, y=[ACCURACY],
            groupby=model, groupby_aggfunc="mean", groupby_rangefunc="stddev",
        ),
    ]  # fmt: skip
    sections = {"Which network": answer, "Which layer": depth, "Over training": steps}
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            ws.Section(name=title, panels=content, is_open=True) for title, content in sections.items()
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=_MOST_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=And(Metric("State").isin(["finished", "running"])),
            order=[Ordering(Summary(G), ascending=False)],
            pinned_columns=list(_COLUMNS),
        ),
    )


def depth_section(*, every_step: bool = False) -> str:
    """Return where the charts over depth are, and their table `scores`: of the last evaluation, or of every one."""
    return "depth_by_step" if every_step else "depth"


def depth_chart(probe: ScoreFacts, *, every_step: bool = False) -> dict[str, Any]:
    """Return the chart of a probe over depth, a line a run (and evaluation), as `panels.CustomChart` takes it.

    It is one of W&B's own presets, so that nothing must be set up on the server.
    """
    when = "every evaluation" if every_step else "last evaluation"
    return {
        "chart_name": "wandb/lineseries/v0",
        "chart_fields": {"step": "depth", "lineKey": "line", "lineVal": probe.name},
        "chart_strings": {
            "title": f"{probe.heading} over depth, {when}",
            "xname": "depth (0 first layer, 1 last)",
        },
    }


def specification(built: Workspace) -> dict[str, Any]:
    """Return what an upload would send."""
    # the package shows this nowhere in public; it is what its save() sends
    view = built._to_model()
    spec: dict[str, Any] = json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True))
    return {"entity": built.entity, "project": built.project, "name": built.name, "spec": spec}
