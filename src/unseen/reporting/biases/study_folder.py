"""The folder of a correlation study: tables, figures, sentences, and one page that holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from unseen.atomic_files import write_text
from unseen.reporting.biases.correlations import BiasPair, Correlation
from unseen.reporting.biases.figure_marks import category_colours
from unseen.reporting.biases.heat_maps import bias_heat_map, group_heat_map
from unseen.reporting.biases.networks import Networks
from unseen.reporting.biases.pass_curves import has_curves, pass_curves
from unseen.reporting.biases.scatter_panels import MARKS_NOTE, RHO_NOTE, scatter_grid, scatter_rows
from unseen.reporting.render import render
from unseen.reporting.tables import Row, Table, write_tables
from unseen.reporting.theme import FILES, PAGE, Theme
from unseen.reporting.vega_lite import Spec, write_figures
from unseen.wording import count, listing

OVERLAY_NOTE = (
    " Pink: one's own networks; a dashed line is one without an accuracy of this group. Values that were measured "
    "on other images or fewer than those of ImageNet cannot be compared with the published ones."
)
SOURCE = (
    "Published networks: Paul Gavrikov and Janis Keuper, “Can Biases in ImageNet Models Explain Generalization?”, "
    "CVPR 2024, arXiv 2404.01509. Their table is under CC BY-SA 4.0, and so is what is made of it here."
)
_ON_PAGE = {  # columns of wide tables; the files have all
    "conclusions": (
        "subset", "bias", "group", "published", "low", "high", "p", "stays_adjusted", "stays_given_id",
        "stays_without_real", "may_be_written", "turns",
    ),
    "correlations": (
        "subset", "bias", "group", "n", "spearman", "low", "high", "p", "p_adjusted", "partial", "partial_p_adjusted",
        "distance_correlation", "dcor_p_adjusted", "p_permutation",
    ),
    "regressions": (
        "subset", "group", "model", "n", "predictors", "r2", "r2_left_out", "shuffled_mean", "shuffled_high", "p",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class CorrelationStudy:
    """What a folder holds.

    Attributes:
        title: Of the page.
        networks: The marks of the scatter panels.
        correlations: Of biases and groups.
        bias_pairs: Of the biases with each other.
        tables: In the order of the page.
        sentences: What it shows and what it cannot show.
        own: Networks drawn over the others.
        source: Whose numbers these are.
    """

    title: str
    networks: Networks
    correlations: Sequence[Correlation]
    bias_pairs: Sequence[BiasPair]
    tables: Sequence[Table]
    sentences: Sequence[str]
    own: Networks | None = None
    source: str = ""


def write_study(study: CorrelationStudy, out: Path) -> None:
    """Write tables (CSV, Markdown, LaTeX), figures/ (SVG, PNG), summary.txt and page.html; `out` is made if absent."""
    out.mkdir(parents=True, exist_ok=True)
    write_tables(study.tables, out)
    write_text(out / "summary.txt", "\n".join(study.sentences) + "\n")
    write_figures(_for_files(study), out / "figures")
    write_text(out / "page.html", _page(study))


def _for_files(study: CorrelationStudy) -> dict[str, Spec]:
    grid = scatter_grid(study.networks, study.correlations, study.own)
    return {"scatter": grid} | _heat_maps(study, FILES) | _curves(study, FILES)


def _heat_maps(study: CorrelationStudy, theme: Theme) -> dict[str, Spec]:
    return {
        "correlations": group_heat_map(study.correlations, theme),
        "bias_correlations": bias_heat_map(study.bias_pairs, theme),
    }


def _curves(study: CorrelationStudy, theme: Theme) -> dict[str, Spec]:
    return {
        kind: pass_curves(study.networks, kind, theme, study.own)
        for kind in ("low_pass", "high_pass")
        if has_curves(study.networks, kind)
    }


def _page(study: CorrelationStudy) -> str:
    panels, rows = scatter_rows(study.networks, study.correlations, study.own)
    specs = _heat_maps(study, PAGE) | _curves(study, PAGE) | panels
    colours = category_colours(study.networks, PAGE)
    content: dict[str, Any] = {
        "title": study.title,
        "counts": count(len(study.networks), "network"),
        "made": f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
        "sentences": study.sentences,
        "scatter": rows,
        "scatter_note": MARKS_NOTE + RHO_NOTE + (OVERLAY_NOTE if study.own else ""),
        "categories": list(zip(colours["domain"], colours["range"], strict=True)),
        "curves": [kind for kind in ("low_pass", "high_pass") if kind in specs],
        "own_names": listing(study.own.names) if study.own else "",
        "tables": [_for_page(table) for table in study.tables],
        "source": study.source,
    }
    return render("study.html.j2", specs, **content)


def _for_page(table: Table) -> Table:
    """Return what a page has room for: the columns to read, their headings as words."""
    names = [column.heading for column in table.columns]
    kept = [names.index(name) for name in _ON_PAGE.get(table.name, names)]
    columns = tuple(replace(table.columns[at], heading=names[at].replace("_", " ")) for at in kept)
    rows = tuple(Row(tuple(row.cells[at] for at in kept)) for row in table.rows)
    more = " The files have more columns." if len(kept) < len(names) else ""
    return replace(table, columns=columns, rows=rows, note=table.note + more)
