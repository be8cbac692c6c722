"""The report's figures of a single run, as images."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from unseen.run_folder import RunFolder

if TYPE_CHECKING:
    from PIL.Image import Image

_SCALE = 2  # of 300 x 190 points: sharp on a screen, some 30 kB


def draw_figures(folder: RunFolder) -> dict[str, Image]:
    """Return `layers`, the NMI over the layers at the last step, and, of several evaluations, `g_over_steps`."""
    import vl_convert
    from PIL import Image

    from unseen.reporting.analysis import analyse
    from unseen.reporting.contest_figures import over_steps
    from unseen.reporting.facts import read_facts
    from unseen.reporting.groups import RunGroup
    from unseen.reporting.looks import FILES
    from unseen.reporting.records import Run
    from unseen.reporting.score_arrays import arrays_of
    from unseen.reporting.setting_figures import layer_curves

    facts = read_facts(folder.summary)
    scores = arrays_of(folder.table, facts.seen_accuracy)
    (contest,) = analyse([RunGroup((Run(folder.path, folder.path.name, facts, {}, scores),))]).contests
    where = f"{facts.model} on {facts.data}, seed {facts.seed}"
    specs = {"layers": layer_curves(contest.winner, FILES) | {"title": f"NMI, {where}, step {facts.steps}"}}
    if len(scores.steps) > 1:
        specs["g_over_steps"] = over_steps(contest, FILES, what="g") | {"title": f"g, {where}"}
    return {
        name: Image.open(io.BytesIO(vl_convert.vegalite_to_png(spec | {"padding": 12}, scale=_SCALE)))
        for name, spec in specs.items()
    }
