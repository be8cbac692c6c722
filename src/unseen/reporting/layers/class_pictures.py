"""Pictures of the unseen classes for the page, as runs saved them: once for each data set and choice of classes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from unseen.class_sheet import FILE, MOST_CLASSES, read_sheet
from unseen.reporting.layers.analysis import Analysis
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.texts import printable
from unseen.settings import value_at
from unseen.wording import count

_MOST_SHEETS = 8  # on a page; one is 3 to 250 kB


@dataclass(frozen=True)
class ClassPictures:
    """The unseen classes of a data set, and pictures of each."""

    data: str
    classes: tuple[tuple[str, str], ...]  # name, and a row of pictures as a data URI
    more: str  # how many classes are not shown, "" for none


def class_pictures(analysis: Analysis) -> tuple[list[ClassPictures], int]:
    """Return pictures of the classes of the compared runs, and of how many choices of classes there are more.

    A run without them, or with a file that is damaged, has none. Images that were shifted for an evaluation are shown
    only where no run has them as they are.
    """
    runs = [run for config in analysis.configurations for run in config.runs if run.split]
    runs.sort(key=lambda run: value_at(run.config, ("data", "shift")) not in (None, "none"))
    found: dict[tuple[str | None, ...], ClassPictures] = {}
    for run in runs:
        assert run.split is not None
        key = (run.facts.data, run.facts.images_hash, *run.split.unseen)
        if key not in found and (made := _pictures(run, run.split.unseen)):
            found[key] = made
    ordered = sorted(found.values(), key=lambda one: one.data)
    return ordered[:_MOST_SHEETS], max(0, len(ordered) - _MOST_SHEETS)


def _pictures(run: Run, names: Sequence[str]) -> ClassPictures | None:
    try:
        rows = read_sheet(run.folder / FILE, len(names))
    except (OSError, ValueError):
        return None
    shown = tuple((printable(name, 60), _uri(row)) for name, row in zip(names, rows, strict=False))
    more = count(len(names) - MOST_CLASSES, "more class", "more classes") if len(names) > MOST_CLASSES else ""
    return ClassPictures(run.facts.data, shown, more)


def _uri(row: Image.Image) -> str:
    """Return a picture as a data URI: made anew, so that nothing but its pixels comes from the file."""
    file = BytesIO()
    row.save(file, format="WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
