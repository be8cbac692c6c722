"""The page: one HTML file that holds everything it shows and loads nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata
from typing import Any

import yaml

from unseen.probe_table import SHOWN
from unseen.reporting.biases.section import BiasSection
from unseen.reporting.collect import Collection
from unseen.reporting.joined_section import JoinSection
from unseen.reporting.layers import figures
from unseen.reporting.layers.analysis import Analysis, Contest
from unseen.reporting.layers.class_pictures import class_pictures
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.embeddings import pictures
from unseen.reporting.layers.layer_tables import what_was_measured
from unseen.reporting.layers.papers import PaperRow, why_not_comparable
from unseen.reporting.layers.summary import across_data, claims_sentence, findings, paper_sentence, summarise
from unseen.reporting.render import render
from unseen.reporting.rerun_commands import bias_commands, run_commands, transfer_commands
from unseen.reporting.studies.study_section import StudySection
from unseen.reporting.tables import Table
from unseen.reporting.texts import printable
from unseen.reporting.theme import PAGE
from unseen.reporting.transfer.section import TransferSection
from unseen.reporting.vega_lite import Spec
from unseen.scores import CHANCE_PROBE
from unseen.wording import count

_MOST_CARDS = 40  # configurations with figures of their own; each is about 30 kB
_MOST_WITH_PICTURES = 12
_LONGEST_COMMAND = 5000  # characters
_DEMO = (
    "Runs marked demo are small networks on small images. They show how layers of such networks compare; they cannot "
    "be compared with the papers' numbers and are not in that table."
)


def top_of_heat(contest: Contest) -> float:
    """Return the upper end of the colours, shared by all heat maps of a data set."""
    top = max(g.mean for config in contest.configurations for g in config.g_of_steps if g.n)
    return max(0.1, round(top + 0.05, 1))


def page(
    collection: Collection,
    analysis: Analysis,
    papers: Sequence[PaperRow],
    biases: BiasSection,
    transfer: TransferSection,
    tables: dict[str, Table],
    selection: Sequence[str],
    studies: Sequence[StudySection],
    joined: Sequence[JoinSection],
    report_command: str,
) -> str:
    """Return the page as HTML.

    `selection` says what rules that choose a layer are worth, `studies` what the runs of each study show, `joined`
    which biases go with g; `report_command` is the line that makes the page again.
    """
    every, most = analysis.configurations, figures.MOST_LINES
    # the best of each data set, as many as the page can hold
    each = max(1, _MOST_CARDS // max(1, len(analysis.contests)))
    chosen = [(to, config) for to in analysis.contests for config in to.configurations[:each]][:_MOST_CARDS]
    specs: dict[str, Spec] = biases.specs | transfer.specs
    specs |= {one.figure_name: one.figure for one in studies if one.figure}
    for join in joined:
        specs |= join.specs
    problems: list[str] = []
    cards = _cards(chosen, specs, problems)
    contests = [_contest(contest, analysis, specs) for contest in analysis.contests]
    return render(
        "page.html.j2",
        specs,
        made=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
        counts=_counts(collection, analysis),
        banner=_DEMO if any(to.size != "paper" for to in analysis.contests) else "",
        contests=contests,
        biases=biases,
        transfer=transfer,
        heading=_heading(contests, biases, transfer),
        of_layers=bool(contests) or not (biases.sentences or transfer.sentences),
        cards=cards,
        more=len(every) - len(cards),
        models=sorted({config.model for config in every}),
        data_sets=sorted({config.data for config in every}),
        probes=SHOWN,
        nmi_chance=any(("unseen", CHANCE_PROBE) in config.probes for config in every),
        accuracy_missing=any(at.n == 0 for config in every for at in config.accuracy_of_steps[:-1]),
        many_lines=most if any(len(to.configurations) > most for to in analysis.contests) else 0,
        measured=what_was_measured(analysis),
        tables=tables,
        pictured=class_pictures(analysis),
        selection=selection,
        studies=studies,
        joined=joined,
        across_data=[across_data(pair, analysis) for pair in analysis.data_set_pairs],
        claims_sentence=claims_sentence(analysis),
        paper_sentence=paper_sentence(papers),
        any_paper=any(row.ours for row in papers),
        not_comparable=_not_comparable(every),
        picture_problems=problems,
        no_pictures=not any(card["pictures"] for card in cards) and not problems,
        configs=[(config, _config_text(config)) for _, config in chosen if config.runs[0].config],
        unscored=analysis.unscored,
        commands=[
            *run_commands(every),
            *bias_commands(collection.bias_runs),
            *transfer_commands(collection.transfer_runs),
        ],
        report_command=printable(report_command, _LONGEST_COMMAND),
        versions=_versions(collection),
    )


def _cards(
    chosen: Sequence[tuple[Contest, Configuration]], specs: dict[str, Spec], problems: list[str]
) -> list[dict[str, Any]]:
    cards = []
    for place, (contest, config) in enumerate(chosen):
        name, g = config.identifier, config.g
        specs[f"layers-{name}"] = figures.layer_curves(config, PAGE)
        specs[f"heat-{name}"] = figures.heat_map(config, PAGE, top=top_of_heat(contest))
        taken, problem = pictures(config) if place < _MOST_WITH_PICTURES else ([], "")
        if problem and any(run.embeddings for run in config.runs):
            problems.append(problem)
        shown_pictures = []
        for number, picture in enumerate(taken):
            key = f"picture-{name}-{number}"
            specs[key] = figures.embedding_picture(picture.points, picture.classes, PAGE)
            shown_pictures.append({"title": picture.title, "spec": key})
        best = f"best layer {g.best_layer} of 0..{config.last_layer} ({config.layer_names[g.best_layer]})"
        line = f"{best}, NMI {g.plain.mean:.2f} in the mean, {config.units}"
        cards.append({"id": name, "of": config, "line": line, "pictures": shown_pictures})
    return cards


def _contest(contest: Contest, analysis: Analysis, specs: dict[str, Spec]) -> dict[str, Any]:
    name, members = contest.identifier, contest.configurations
    made: dict[str, Spec | None] = {"g": figures.over_steps(members, PAGE, what="g")}
    if any(config.accuracy.n for config in members):
        made["accuracy"] = figures.over_steps(members, PAGE, what="accuracy")
        made["scatter"] = figures.accuracy_and_g(members, PAGE)
    made["destroyed"] = figures.destroyed(members, PAGE)
    specs |= {f"{kind}-{name}": spec for kind, spec in made.items() if spec}
    about = {
        "id": name,
        "of": contest,
        "summary": summarise(contest, analysis),
        "findings": findings(contest, analysis),
    }
    return about | {"has_accuracy": "accuracy" in made, "has_destroyed": made["destroyed"] is not None}


def _heading(contests: Sequence[object], biases: BiasSection, transfer: TransferSection) -> tuple[str, str]:
    """Return the title and the heading of the page, by what it is about."""
    if contests or not (biases.sentences or transfer.sentences):
        return (
            "which network, which layer",
            "Which network, and which layer of it, generalizes to classes it has never seen",
        )
    if not transfer.sentences:
        return "biases", "Which biases the networks have"
    if not biases.sentences:
        return "transfer", "What fine-tuning gains on a task, and what it forgets"
    return "biases and transfer", "Which biases the networks have; what fine-tuning gains and forgets"


def _counts(collection: Collection, analysis: Analysis) -> str:
    runs, measured, others = len(collection.runs), len(collection.bias_runs), len(collection.left_out)
    tuned = len(collection.transfer_runs)
    counts = [f"{count(runs, 'finished run')} in {count(len(analysis.configurations), 'configuration')}"]
    if measured or tuned:
        counts *= bool(runs)
    if measured:
        counts.append(f"biases of {count(measured, 'network')}")
    if tuned:
        counts.append(f"{count(tuned, 'run')} of transfer")
    text = ", ".join(counts)
    return text + (f", {count(others, 'folder')} left out (listed below)" if others else "")


def _not_comparable(configurations: Sequence[Configuration]) -> list[str]:
    reasons = {
        f"{config.label} on {config.data}: {why_not_comparable(run)}": why_not_comparable(run)
        for config in configurations
        for run in config.runs
        if config.size == "paper"
    }
    return [text for text, reason in reasons.items() if reason]


def _config_text(config: Configuration) -> str:
    kept = {
        key: value for key, value in config.runs[0].config.items() if key not in ("paths", "logger", "hydra")
    }
    return str(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


def _versions(collection: Collection) -> str:
    by_name: dict[str, set[str]] = {}
    every = [
        *(run.facts.versions for run in collection.runs),
        *(run.facts.versions for run in collection.bias_runs),
        *(run.facts.versions for run in collection.transfer_runs),
    ]
    for versions_of_run in every:
        for name, version in (versions_of_run or {}).items():
            by_name.setdefault(printable(name, 40), set()).add(printable(version, 40))
    here = f"report made with python {sys.version.split()[0]}, vl-convert {metadata.version('vl-convert-python')}"
    return ", ".join(
        [*(f"{name} {' / '.join(sorted(versions))}" for name, versions in by_name.items()), here]
    )
