"""From run folders to the report's folder: index.html, tables/ and figures/."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

import vl_convert

from unseen.atomic_files import write_text
from unseen.reporting import figures
from unseen.reporting.analysis import Analysis, Comparison, analyse
from unseen.reporting.collect import Collection, collect
from unseen.reporting.configuration import Configuration
from unseen.reporting.groups import group_runs
from unseen.reporting.page import Content, comparison_id, page, top_of_heat
from unseen.reporting.papers import compare_with_papers
from unseen.reporting.result_tables import all_tables
from unseen.reporting.summary import summarise
from unseen.reporting.tables import write_tables
from unseen.reporting.texts import printable
from unseen.reporting.theme import FILES

_MOST_IN_A_FIGURE = 12
_PNG_SCALE = 1.5
_LONGEST_COMMAND = 5000  # characters
# words of a command that say where and when a job ran
_NOT_REPEATED = ("-m", "--multirun", "seed=", "hydra.", "ckpt_path=", "resume=", "plan=")


@dataclass(frozen=True)
class Report:
    """What was made.

    Attributes:
        page: The page.
        summaries: A few sentences for each data set.
        runs: Finished runs that numbers come from.
        left_out: Folders that were listed only.
    """

    page: Path
    summaries: tuple[str, ...]
    runs: int
    left_out: int


def build_report(roots: Sequence[Path], out: Path, *, command: Sequence[str] = ()) -> Report:
    """Read all runs below `roots` and write the report into `out`.

    Args:
        roots: Folders that hold run folders at any depth.
        out: The report's folder; made if absent, files of an earlier report are replaced.
        command: What was typed, shown on the page.
    """
    found = collect(roots)
    configurations, repeated = group_runs(found.runs)
    dropped = {one.name for one in repeated}
    counted = tuple(run for run in found.runs if run.name not in dropped)
    collection = Collection(counted, found.left_out + repeated)
    analysis = analyse(configurations)
    papers = compare_with_papers(configurations)
    tables = all_tables(analysis, papers, collection.runs, collection.left_out)
    words = shlex.join(command or ("src/report.py", f"runs={roots[0]}", f"out={out}"))
    content = Content(
        collection=collection,
        analysis=analysis,
        papers=papers,
        tables=tables,
        commands=run_commands(analysis.configurations),
        report_command=printable(f"python {words}", _LONGEST_COMMAND),
        versions=_versions(collection),
        made=datetime.now().astimezone(),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_tables(list(tables.values()), out / "tables")
    write_figures(analysis, out / "figures")
    write_text(out / "index.html", page(content))
    summaries = [summarise(one) for one in analysis.comparisons]
    return Report(
        out / "index.html",
        tuple(f"{one.headline} {one.details}" for one in summaries),
        len(collection.runs),
        len(collection.left_out),
    )


def write_figures(analysis: Analysis, folder: Path) -> None:
    """Write the figures as SVG and PNG, a file for each data set and kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for comparison in analysis.comparisons:
        for name, spec in _figures(comparison).items():
            path = folder / f"{name}_{comparison_id(comparison)}"
            svg = vl_convert.vegalite_to_svg(spec)
            path.with_suffix(".svg").write_text(svg, encoding="utf-8")
            path.with_suffix(".png").write_bytes(vl_convert.svg_to_png(svg, scale=_PNG_SCALE))


def _figures(comparison: Comparison) -> dict[str, figures.Spec]:
    where = f"{comparison.data} ({comparison.size} size)"
    top = top_of_heat(comparison)
    titled = [
        (f"{one.label}, n = {len(one.runs)}", one) for one in comparison.configurations[:_MOST_IN_A_FIGURE]
    ]
    made = {
        "layers": figures.side_by_side(
            [(title, figures.layer_curves(one, FILES)) for title, one in titled],
            FILES,
            title=f"NMI of every layer, {where}",
            explained="band: 95 % interval over seeds, dashed: raw pixels, dotted: chance where measured",
        ),
        "heat_map": figures.side_by_side(
            [(title, figures.heat_map(one, FILES, top=top)) for title, one in titled],
            FILES,
            title=f"NMI of the unseen classes, {where}",
            explained="layer by training step",
        ),
    }
    single = {
        "g_over_steps": ("g, unseen classes", figures.over_steps(comparison.configurations, FILES, what="g")),
        "accuracy_over_steps": (
            "accuracy, seen classes",
            figures.over_steps(comparison.configurations, FILES, what="accuracy"),
        ),
        "accuracy_and_g": ("accuracy against g", figures.accuracy_and_g(comparison.configurations, FILES)),
        "destroyed": (
            "NMI of the best layer on destroyed images",
            figures.destroyed(comparison.configurations, FILES),
        ),
    }
    return made | {
        name: spec | {"title": f"{title}, {where}", "padding": 12}
        for name, (title, spec) in single.items()
        if spec
    }


def run_commands(configurations: Sequence[Configuration]) -> list[str]:
    """Return lines that run all configurations with all their seeds again; networks with equal settings share one."""
    models: dict[tuple[str, ...], list[str]] = {}  # (script, words but the network's) -> networks
    for one in configurations:
        command = [printable(word) for word in one.runs[0].facts.command or []]
        if not command:
            continue
        words = _typed(command[1:])
        networks = [word.removeprefix("model=") for word in words if word.startswith("model=")]
        others = [word for word in words if not word.startswith("model=")]
        key = (command[0], *others, f"seed={','.join(map(str, one.seeds))}")
        models.setdefault(key, []).extend(networks)
    found = []
    for (script, *words, seed), networks in models.items():
        chosen = [f"model={','.join(sorted(set(networks)))}"] if networks else []
        sweep = ["-m"] if any("," in word for word in (*chosen, seed)) else []
        found.append(shlex.join(["python", script, *sweep, *words, *chosen, seed]))
    return sorted(found)


def _typed(words: list[str]) -> list[str]:
    """Return the words of a command that a person typed, without the seed: a sweep adds some for each job."""
    pairs = zip(["", *words], words, strict=False)
    return [
        word
        for before, word in pairs
        if "--config-path" not in (before, word) and not word.startswith(_NOT_REPEATED)
    ]


def _versions(collection: Collection) -> str:
    found: dict[str, set[str]] = {}
    for run in collection.runs:
        for name, version in (run.facts.versions or {}).items():
            found.setdefault(printable(name, 40), set()).add(printable(version, 40))
    here = f"report made with python {sys.version.split()[0]}, vl-convert {metadata.version('vl-convert-python')}"
    return ", ".join([*(f"{name} {' / '.join(sorted(versions))}" for name, versions in found.items()), here])
