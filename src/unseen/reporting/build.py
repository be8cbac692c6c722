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
from unseen.reporting import contest_figures, setting_figures
from unseen.reporting.analysis import Analysis, Contest, Setting, analyse
from unseen.reporting.answer import answer
from unseen.reporting.collect import collect
from unseen.reporting.figure_parts import Spec
from unseen.reporting.groups import group_runs
from unseen.reporting.looks import FILES
from unseen.reporting.page import Content, contest_id, page, top_of_heat
from unseen.reporting.paper import compare
from unseen.reporting.records import Collection
from unseen.reporting.result_tables import all_tables
from unseen.reporting.tables import write_tables
from unseen.reporting.texts import printable

_MOST_IN_A_FIGURE = 12
_PNG_SCALE = 1.5
_LONGEST_COMMAND = 5000  # characters
# they say where and when a job ran
_NOT_REPEATED = ("seed=", "hydra.", "ckpt_path=", "resume=", "plan=")


@dataclass(frozen=True)
class Report:
    """What was made.

    Attributes:
        page: The page.
        answers: A few sentences for each data set.
        runs: Finished runs that numbers come from.
        left_out: Folders that were listed only.
    """

    page: Path
    answers: tuple[str, ...]
    runs: int
    left_out: int


def build_report(roots: Sequence[Path], out: Path, *, command: Sequence[str] = ()) -> Report:
    """Read all runs below `roots` and write the report into `out`.

    Args:
        roots: Folders that hold run folders at any depth.
        out: The report's folder; made if absent, files of an earlier report are replaced.
        command: What was typed, shown on the page.
    """
    collection = collect(roots)
    groups, repeated = group_runs(collection.runs)
    dropped = {one.name for one in repeated}
    collection = Collection(
        tuple(run for run in collection.runs if run.name not in dropped), collection.left_out + repeated
    )
    analysis = analyse(groups)
    paper = compare(groups)
    tables = all_tables(analysis, paper, collection.runs, collection.left_out)
    content = Content(
        collection=collection,
        analysis=analysis,
        paper=paper,
        tables=tables,
        commands=run_commands(analysis.settings),
        report_command=printable(
            "python " + shlex.join(command or ("src/report.py", f"runs={roots[0]}", f"out={out}")),
            _LONGEST_COMMAND,
        ),
        versions=_versions(collection),
        made=datetime.now().astimezone(),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_tables(list(tables.values()), out / "tables")
    write_figures(analysis, out / "figures")
    write_text(out / "index.html", page(content))
    return Report(
        out / "index.html",
        tuple(f"{one.headline} {one.details}" for one in map(answer, analysis.contests)),
        len(collection.runs),
        len(collection.left_out),
    )


def write_figures(analysis: Analysis, folder: Path) -> None:
    """Write the figures as SVG and PNG, a file a data set and kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for contest in analysis.contests:
        for name, spec in _figures(contest).items():
            _draw(spec, folder / f"{name}_{contest_id(contest)}")


def _figures(contest: Contest) -> dict[str, Spec]:
    some = contest.settings[:_MOST_IN_A_FIGURE]
    top = top_of_heat(contest)
    where = f"{contest.data} ({contest.size} size)"
    layers = [(_title(one), setting_figures.layer_curves(one, FILES)) for one in some]
    heat = [(_title(one), setting_figures.heat_map(one, FILES, top=top)) for one in some]
    made = {
        "layers": setting_figures.side_by_side(
            layers,
            FILES,
            title=f"NMI of every layer, {where}",
            explained="band: 95 % interval over seeds, dashed: raw pixels, dotted: chance where measured",
        ),
        "heat_map": setting_figures.side_by_side(
            heat, FILES, title=f"NMI of the unseen classes, {where}", explained="layer by training step"
        ),
    }
    plain = {
        "g_over_steps": ("g, unseen classes", contest_figures.over_steps(contest, FILES, what="g")),
        "accuracy_over_steps": (
            "accuracy, seen classes",
            contest_figures.over_steps(contest, FILES, what="accuracy"),
        ),
        "accuracy_and_g": ("accuracy against g", contest_figures.accuracy_and_g(contest, FILES)),
        "destroyed": ("NMI of the best layer on destroyed images", contest_figures.destroyed(contest, FILES)),
    }
    return made | {
        name: spec | {"title": f"{title}, {where}", "padding": 12}
        for name, (title, spec) in plain.items()
        if spec
    }


def _title(setting: Setting) -> str:
    return f"{setting.group.label}, n = {len(setting.group.runs)}"


def _draw(spec: Spec, path: Path) -> None:
    svg = vl_convert.vegalite_to_svg(spec)
    path.with_suffix(".svg").write_text(svg, encoding="utf-8")
    path.with_suffix(".png").write_bytes(vl_convert.svg_to_png(svg, scale=_PNG_SCALE))


def run_commands(settings: Sequence[Setting]) -> list[str]:
    """Return lines that run all settings with all their seeds again; those that differ in the network are one."""
    models: dict[tuple[str, ...], list[str]] = {}  # (script, words but the network's) -> networks
    for setting in settings:
        command = [printable(word) for word in setting.group.runs[0].facts.command or []]
        if not command:
            continue
        words = _typed(command[1:])
        network = [word.partition("=")[2] for word in words if word.startswith("model=")]
        seeds = ",".join(str(seed) for seed in setting.group.seeds)
        key = (command[0], *(word for word in words if not word.startswith("model=")), f"seed={seeds}")
        models.setdefault(key, []).extend(network)
    found = []
    for (script, *words), networks in models.items():
        chosen = [f"model={','.join(sorted(set(networks)))}"] if networks else []
        sweep = ["-m"] if any("," in word for word in (*chosen, words[-1])) else []
        found.append(shlex.join(["python", script, *sweep, *words[:-1], *chosen, words[-1]]))
    return sorted(found)


def _typed(words: list[str]) -> list[str]:
    """Return the words of a command that a person typed, without the seed: a sweep adds some for each job."""
    kept = []
    for place, word in enumerate(words):
        added = word == "--config-path" or (place > 0 and words[place - 1] == "--config-path")
        if not added and not word.startswith(("-m", "--multirun", *_NOT_REPEATED)):
            kept.append(word)
    return kept


def _versions(collection: Collection) -> str:
    found: dict[str, set[str]] = {}
    for run in collection.runs:
        for name, version in (run.facts.versions or {}).items():
            found.setdefault(printable(name, 40), set()).add(printable(version, 40))
    here = f"report made with python {sys.version.split()[0]}, vl-convert {metadata.version('vl-convert-python')}"
    return ", ".join([*(f"{name} {' / '.join(sorted(versions))}" for name, versions in found.items()), here])
