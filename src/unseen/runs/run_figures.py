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

    from unseen.reporting.collect import Run
    from unseen.reporting.configuration import Configuration
    from unseen.reporting.figures import layer_curves, over_steps
    from unseen.reporting.run_files import arrays_of, read_facts
    from unseen.reporting.theme import FILES

    facts = read_facts(folder.summary)
    scores = arrays_of(folder.table, facts.seen_accuracy)
    one = Configuration((Run(folder.path, folder.path.name, facts, {}, scores),))
    where = f"{facts.model} on {facts.data}, seed {facts.seed}"
    specs = {"layers": layer_curves(one, FILES) | {"title": f"NMI, {where}, step {facts.steps}"}}
    if len(scores.steps) > 1:
        specs["g_over_steps"] = over_steps([one], FILES, what="g") | {"title": f"g, {where}"}
    return {
        name: Image.open(io.BytesIO(vl_convert.vegalite_to_png(spec | {"padding": 12}, scale=_SCALE)))
        for name, spec in specs.items()
    }
