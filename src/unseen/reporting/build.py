"""From run folders to the report's folder: index.html, tables/ and figures/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unseen.atomic_files import write_text
from unseen.reporting.biases.bias_studies import bias_studies
from unseen.reporting.biases.section import bias_section
from unseen.reporting.collect import Collection, collect
from unseen.reporting.joined_networks import joins
from unseen.reporting.joined_section import join_sections
from unseen.reporting.layers import figures
from unseen.reporting.layers.analysis import Contest, analyse
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.layers.layer_choice import has_selectors, layer_choice
from unseen.reporting.layers.layer_choice_tables import choices_table, regret_table, selection_sentences
from unseen.reporting.layers.layer_tables import all_tables
from unseen.reporting.layers.papers import compare_with_papers
from unseen.reporting.layers.summary import summarise
from unseen.reporting.page import page, top_of_heat
from unseen.reporting.studies.study_effects import parts_of_studies, studies
from unseen.reporting.studies.study_section import study_section
from unseen.reporting.tables import write_tables
from unseen.reporting.theme import FILES
from unseen.reporting.transfer.section import transfer_section
from unseen.reporting.transfer.transfer_studies import transfer_studies
from unseen.reporting.transfer.tuned_tasks import tuned_tasks
from unseen.reporting.vega_lite import Spec, write_figures
from unseen.wording import command_line_of

_MOST_IN_A_FIGURE = 12


@dataclass(frozen=True)
class Report:
    """What was made."""

    page: Path
    summaries: tuple[str, ...]  # a few sentences for each data set
    runs: int  # finished runs that numbers come from, those of biases.py and transfer.py among them
    left_out: int  # folders that were listed only


def build_report(roots: Sequence[Path], out: Path, *, command: Sequence[str] = ()) -> Report:
    """Read all runs below `roots` and write the report into `out`.

    Args:
        roots: Folders that hold run folders at any depth.
        out: The report's folder; made if absent, files of an earlier report are replaced.
        command: What was typed, shown on the page.
    """
    read = collect(roots)
    configurations, repeated = group_runs(read.runs)
    tuned, study, run_again = tuned_tasks(read.transfer_runs)
    dropped = {folder.name for folder in (*repeated, *run_again)}
    collection = Collection(
        tuple(run for run in read.runs if run.name not in dropped),
        (*read.left_out, *repeated, *run_again),
        read.bias_runs,
        tuple(run for run in read.transfer_runs if run.name not in dropped),
    )
    parts = 1 + any(map(has_selectors, configurations)) + parts_of_studies(configurations)
    analysis = analyse(configurations, parts)
    papers = compare_with_papers(configurations)
    biases, transfer = bias_section(collection.bias_runs), transfer_section(tuned, study)
    tables, choice = all_tables(analysis, papers, collection), layer_choice(analysis.contests, parts)
    tables |= {table.name: table for table in (regret_table(choice), choices_table(choice))}
    selection = selection_sentences(choice)
    joined = join_sections(*joins(analysis.contests, collection.bias_runs, collection.transfer_runs))
    asked = [study_section(study) for study in studies(configurations, parts)]
    asked += [*bias_studies(collection.bias_runs), *transfer_studies(collection.transfer_runs)]
    of_studies = {one.figure_name: one.file for one in asked if one.file}
    typed = command_line_of(command or ("src/report.py", f"runs={roots[0]}", f"out={out}"))
    out.mkdir(parents=True, exist_ok=True)
    study_tables = [table for one in asked for table in one.tables]
    study_tables += [table for one in joined for table in (one.networks, one.tests)]
    write_tables(
        [*tables.values(), *study_tables, *biases.tables.values(), *transfer.tables.values()], out / "tables"
    )
    of_contests = {
        f"{name}_{contest.identifier}": spec
        for contest in analysis.contests
        for name, spec in _figures(contest).items()
    }
    of_contests |= {name: spec for one in joined for name, spec in one.files.items()}
    write_figures(of_contests | of_studies | biases.files | transfer.files, out / "figures")
    html = page(collection, analysis, papers, biases, transfer, tables, selection, asked, joined, typed)
    write_text(out / "index.html", html)
    summaries = [summarise(contest, analysis) for contest in analysis.contests]
    return Report(
        out / "index.html",
        (
            *(f"{one.name} ({one.size} size): {sentence}" for one in asked for sentence in one.sentences),
            *(sentence for one in joined for sentence in one.sentences),
            *(f"{summary.headline} {summary.details}" for summary in summaries),
            *biases.sentences[:2],
            *transfer.sentences[:2],
        ),
        len(collection.runs) + len(collection.bias_runs) + len(collection.transfer_runs),
        len(collection.left_out),
    )


def _figures(contest: Contest) -> dict[str, Spec]:
    where, members = f"{contest.title} ({contest.size} size)", contest.configurations
    top = top_of_heat(contest)
    titled = [(f"{config.label}, n = {len(config.runs)}", config) for config in members[:_MOST_IN_A_FIGURE]]
    layers = [(title, figures.layer_curves(config, FILES)) for title, config in titled]
    heat = [(title, figures.heat_map(config, FILES, top=top)) for title, config in titled]
    band = "thin: class splits or seeds, band: 95 % for all layers, dashed: raw pixels, dotted: chance if measured"
    single = {
        "g_over_steps": ("g, unseen classes", figures.over_steps(members, FILES, what="g")),
        "accuracy_over_steps": (
            "accuracy, seen classes",
            figures.over_steps(members, FILES, what="accuracy"),
        ),
        "accuracy_and_g": ("accuracy against g", figures.accuracy_and_g(members, FILES)),
        "destroyed": ("NMI of the best layer on destroyed images", figures.destroyed(members, FILES)),
    }
    made = {
        name: spec | {"title": f"{title}, {where}", "padding": 12}
        for name, (title, spec) in single.items()
        if spec
    }
    made["layers"] = figures.side_by_side(layers, f"NMI of every layer, {where}", band)
    made["heat_map"] = figures.side_by_side(
        heat, f"NMI of the unseen classes, {where}", "layer by training step"
    )
    return made
