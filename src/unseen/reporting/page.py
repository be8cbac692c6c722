"""The page: one HTML file that holds everything it shows and loads nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata
from typing import Any

import yaml

from unseen.probe_table import SHOWN
from unseen.reporting import figures
from unseen.reporting.all_tables import what_was_measured
from unseen.reporting.analysis import Analysis, Contest
from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.biases.section import Section
from unseen.reporting.collect import Collection
from unseen.reporting.configuration import Configuration
from unseen.reporting.embeddings import pictures
from unseen.reporting.papers import PaperRow, why_not_comparable
from unseen.reporting.render import render
from unseen.reporting.summary import across_data, claims_sentence, findings, paper_sentence, summarise
from unseen.reporting.tables import Table
from unseen.reporting.texts import printable
from unseen.reporting.theme import PAGE
from unseen.reporting.vega_lite import Spec
from unseen.scores import CHANCE_PROBE
from unseen.wording import command_line_of, count

_MOST_CARDS = 40  # configurations with figures of their own; each is about 30 kB
_MOST_WITH_PICTURES = 12
_LONGEST_COMMAND = 5000  # characters
# words of a command that say where and when a job ran
_NOT_REPEATED = ("-m", "--multirun", "seed=", "hydra.", "ckpt_path=", "resume=", "plan=")
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
    biases: Section,
    tables: dict[str, Table],
    report_command: str,
) -> str:
    """Return the page as HTML; `report_command` is the line that makes it again."""
    every, most = analysis.configurations, figures.MOST_LINES
    # the best of each data set, as many as the page can hold
    each = max(1, _MOST_CARDS // max(1, len(analysis.contests)))
    chosen = [(to, config) for to in analysis.contests for config in to.configurations[:each]][:_MOST_CARDS]
    specs: dict[str, Spec] = dict(biases.specs)
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
        across_data=[across_data(transfer, analysis) for transfer in analysis.transfers],
        claims_sentence=claims_sentence(analysis),
        paper_sentence=paper_sentence(papers),
        any_paper=any(row.ours for row in papers),
        not_comparable=_not_comparable(every),
        picture_problems=problems,
        no_pictures=not any(card["pictures"] for card in cards) and not problems,
        configs=[(config, _config_text(config)) for _, config in chosen if config.runs[0].config],
        unscored=analysis.unscored,
        commands=[*run_commands(every), *bias_commands(collection.bias_runs)],
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
            specs[key] = figures.scatter(picture.points, picture.classes, PAGE)
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


def _counts(collection: Collection, analysis: Analysis) -> str:
    runs, measured, others = len(collection.runs), len(collection.bias_runs), len(collection.left_out)
    counts = [f"{count(runs, 'finished run')} in {count(len(analysis.configurations), 'configuration')}"]
    if measured:
        counts = counts * bool(runs) + [f"biases of {count(measured, 'network')}"]
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


def run_commands(configurations: Sequence[Configuration]) -> list[str]:
    """Return lines that run all configurations again; networks and seeds with equal settings share one."""
    models: dict[tuple[str, ...], dict[int, set[str]]] = {}  # (script, other words) -> seed -> networks
    for run in (run for config in configurations for run in config.runs if run.facts.command):
        script, *words = [printable(word) for word in run.facts.command or []]
        words = _typed(words)
        networks = ",".join(word.removeprefix("model=") for word in words if word.startswith("model="))
        others = (script, *(word for word in words if not word.startswith("model=")))
        models.setdefault(others, {}).setdefault(run.facts.seed, set()).add(networks)
    lines = []
    for (script, *words), of_seed in models.items():
        grids: dict[tuple[str, ...], list[int]] = {}
        for seed, chosen in sorted(of_seed.items()):
            grids.setdefault(tuple(sorted(chosen)), []).append(seed)
        for of_seeds, seeds in grids.items():
            grid = [f"model={','.join(of_seeds)}"] if of_seeds != ("",) else []
            grid.append(f"seed={','.join(map(str, seeds))}")
            sweep = ["-m"] if any("," in word for word in grid) else []
            lines.append(command_line_of([script, *sweep, *words, *grid]))
    return sorted(lines)


def bias_commands(runs: Sequence[BiasRun]) -> list[str]:
    """Return lines that measure all networks again; networks of the model group with equal settings share one."""
    models: dict[tuple[str, ...], dict[str, None]] = {}
    for run in (run for run in runs if run.facts.command):
        script, *words = [printable(word) for word in run.facts.command or []]
        words = _typed(words, ("seed=", "ckpt_path="))
        named = [word for word in words if word.startswith("model=")]
        others = (script, *(word for word in words if word not in named))
        models.setdefault(others, {}).update(dict.fromkeys(word.removeprefix("model=") for word in named))
    lines = []
    for (script, *words), names in models.items():
        grid = [f"model={','.join(names)}"] if names else []
        lines.append(command_line_of([script, *(["-m"] if len(names) > 1 else []), *words, *grid]))
    return sorted(lines)


def _typed(words: list[str], kept: tuple[str, ...] = ()) -> list[str]:
    """Return the words of a command that a person typed, without the seed: a sweep adds some for each job.

    Among them are the copies of the folders of settings, `.configs-…`, that its jobs read.
    """
    typed, rest = [], iter(words)
    for word in rest:
        following = next(rest, "") if word in {"--config-path", "--config-dir"} else None
        if following is None and (word.startswith(kept) or not word.startswith(_NOT_REPEATED)):
            typed.append(word)
        elif following is not None and "/.configs" not in following:
            typed += [word, following]
    return typed


def _versions(collection: Collection) -> str:
    by_name: dict[str, set[str]] = {}
    every = [run.facts.versions for run in collection.runs] + [
        run.facts.versions for run in collection.bias_runs
    ]
    for versions_of_run in every:
        for name, version in (versions_of_run or {}).items():
            by_name.setdefault(printable(name, 40), set()).add(printable(version, 40))
    here = f"report made with python {sys.version.split()[0]}, vl-convert {metadata.version('vl-convert-python')}"
    return ", ".join(
        [*(f"{name} {' / '.join(sorted(versions))}" for name, versions in by_name.items()), here]
    )
