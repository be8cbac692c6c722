"""The page: one HTML file that holds everything it shows and loads nothing."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
import yaml
from markupsafe import Markup

from unseen.probe_table import SHOWN
from unseen.reporting import figures
from unseen.reporting.analysis import Analysis, Comparison
from unseen.reporting.collect import Collection
from unseen.reporting.configuration import Configuration
from unseen.reporting.embeddings import pictures
from unseen.reporting.papers import PaperRow, why_not_comparable
from unseen.reporting.summary import findings, paper_sentence, summarise
from unseen.reporting.tables import Table, forms_of, shown, sort_value, what_was_measured
from unseen.reporting.texts import file_name, printable
from unseen.reporting.theme import PAGE
from unseen.scores import CHANCE_PROBE
from unseen.wording import count

_MOST_CARDS = 40  # configurations with figures of their own; each is about 30 kB
_MOST_WITH_PICTURES = 12
_LONGEST_COMMAND = 5000  # characters
_ASSETS = Path(__file__).parent / "assets"
# words of a command that say where and when a job ran
_NOT_REPEATED = ("-m", "--multirun", "seed=", "hydra.", "ckpt_path=", "resume=", "plan=")
_DEMO = (
    "Runs marked demo are small networks on small images. They show how layers of such networks compare; they cannot "
    "be compared with the papers' numbers and are not in that table."
)


def comparison_id(comparison: Comparison) -> str:
    """Return the part of file names that names the data set and size of a figure."""
    return file_name(comparison.data, comparison.size)


def top_of_heat(comparison: Comparison) -> float:
    """Return the upper end of the colours, shared by all heat maps of a data set."""
    top = max(g.mean for config in comparison.configurations for g in config.g_of_steps if g.n)
    return max(0.1, round(top + 0.05, 1))


def page(
    collection: Collection,
    analysis: Analysis,
    papers: Sequence[PaperRow],
    tables: dict[str, Table],
    report_command: str,
) -> str:
    """Return the page as HTML; `report_command` is the line that makes it again."""
    every, most = analysis.configurations, figures.MOST_LINES
    # the best of each data set, as many as the page can hold
    each = max(1, _MOST_CARDS // max(1, len(analysis.comparisons)))
    chosen = [(to, config) for to in analysis.comparisons for config in to.configurations[:each]][
        :_MOST_CARDS
    ]
    specs: dict[str, figures.Spec] = {}
    problems: list[str] = []
    cards = _cards(chosen, specs, problems)
    comparisons = [_comparison(comparison, specs) for comparison in analysis.comparisons]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        css=Markup((_ASSETS / "page.css").read_text(encoding="utf-8")),
        js=Markup((_ASSETS / "page.js").read_text(encoding="utf-8")),
        vega=Markup(_vega()),
        specs=Markup(_json(specs)),
        made=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
        counts=_counts(collection, analysis),
        banner=_DEMO if any(to.size != "paper" for to in analysis.comparisons) else "",
        comparisons=comparisons,
        cards=cards,
        more=len(every) - len(cards),
        models=sorted({config.model for config in every}),
        data_sets=sorted({config.data for config in every}),
        probes=SHOWN,
        nmi_chance=any(("unseen", CHANCE_PROBE) in config.probes for config in every),
        accuracy_missing=any(at.n == 0 for config in every for at in config.accuracy_of_steps[:-1]),
        many_lines=most if any(len(to.configurations) > most for to in analysis.comparisons) else 0,
        measured=what_was_measured(analysis),
        tables=tables,
        forms_of=forms_of,
        sort_value=sort_value,
        paper_sentence=paper_sentence(papers),
        any_paper=any(row.ours for row in papers),
        not_comparable=_not_comparable(every),
        picture_problems=problems,
        no_pictures=not any(card["pictures"] for card in cards) and not problems,
        configs=[(config, _config_text(config)) for _, config in chosen if config.runs[0].config],
        unscored=analysis.unscored,
        commands=run_commands(every),
        report_command=printable(report_command, _LONGEST_COMMAND),
        versions=_versions(collection),
    )


def _cards(
    chosen: Sequence[tuple[Comparison, Configuration]], specs: dict[str, figures.Spec], problems: list[str]
) -> list[dict[str, Any]]:
    cards = []
    for place, (comparison, config) in enumerate(chosen):
        name, g = config.identifier, config.g
        specs[f"layers-{name}"] = figures.layer_curves(config, PAGE)
        specs[f"heat-{name}"] = figures.heat_map(config, PAGE, top=top_of_heat(comparison))
        taken, problem = pictures(config) if place < _MOST_WITH_PICTURES else ([], "")
        if problem and any(run.embeddings for run in config.runs):
            problems.append(problem)
        shown_pictures = []
        for number, picture in enumerate(taken):
            key = f"picture-{name}-{number}"
            specs[key] = figures.scatter(picture.points, picture.classes, PAGE)
            shown_pictures.append({"title": picture.title, "spec": key})
        best = f"best layer {g.best_layer} of 0..{config.last_layer} ({config.layer_names[g.best_layer]})"
        runs = "1 run" if len(config.runs) == 1 else f"{len(config.runs)} seeds"
        line = f"{best}, NMI {shown(g.of_mean, 2)}, {runs}".replace(" (one run)", "")
        cards.append({"id": name, "of": config, "line": line, "pictures": shown_pictures})
    return cards


def _comparison(comparison: Comparison, specs: dict[str, figures.Spec]) -> dict[str, Any]:
    name, members = comparison_id(comparison), comparison.configurations
    made: dict[str, figures.Spec | None] = {"g": figures.over_steps(members, PAGE, what="g")}
    if any(config.accuracy.n for config in members):
        made["accuracy"] = figures.over_steps(members, PAGE, what="accuracy")
        made["scatter"] = figures.accuracy_and_g(members, PAGE)
    made["destroyed"] = figures.destroyed(members, PAGE)
    specs |= {f"{kind}-{name}": spec for kind, spec in made.items() if spec}
    about = {"id": name, "of": comparison, "summary": summarise(comparison), "findings": findings(comparison)}
    return about | {"has_accuracy": "accuracy" in made, "has_destroyed": made["destroyed"] is not None}


def _counts(collection: Collection, analysis: Analysis) -> str:
    runs, others = len(collection.runs), len(collection.left_out)
    text = f"{count(runs, 'finished run')} in {count(len(analysis.configurations), 'configuration')}"
    return text + (f", {count(others, 'folder')} left out (listed below)" if others else "")


def _not_comparable(configurations: Sequence[Configuration]) -> list[str]:
    reasons = [(config, why_not_comparable(config)) for config in configurations if config.size == "paper"]
    return [f"{config.label} on {config.data}: {reason}" for config, reason in reasons if reason]


def _config_text(config: Configuration) -> str:
    kept = {
        key: value for key, value in config.runs[0].config.items() if key not in ("paths", "logger", "hydra")
    }
    return str(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


@lru_cache(maxsize=1)
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that sets `vegaEmbed`."""
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _json(content: object) -> str:
    """Return JSON that cannot end the script element that contains it."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def run_commands(configurations: Sequence[Configuration]) -> list[str]:
    """Return lines that run all configurations with all their seeds again; networks with equal settings share one."""
    models: dict[tuple[str, ...], list[str]] = {}  # (script, words but the network's) -> networks
    for config in configurations:
        command = [printable(word) for word in config.runs[0].facts.command or []]
        if not command:
            continue
        words = _typed(command[1:])
        networks = [word.removeprefix("model=") for word in words if word.startswith("model=")]
        others = [word for word in words if not word.startswith("model=")]
        key = (command[0], *others, f"seed={','.join(map(str, config.seeds))}")
        models.setdefault(key, []).extend(networks)
    lines = []
    for (script, *words, seed), networks in models.items():
        chosen = [f"model={','.join(sorted(set(networks)))}"] if networks else []
        sweep = ["-m"] if any("," in word for word in (*chosen, seed)) else []
        lines.append(shlex.join(["python", script, *sweep, *words, *chosen, seed]))
    return sorted(lines)


def _typed(words: list[str]) -> list[str]:
    """Return the words of a command that a person typed, without the seed: a sweep adds some for each job.

    Among them are the copies of the folders of settings, `.configs-…`, that its jobs read.
    """
    typed, rest = [], iter(words)
    for word in rest:
        following = next(rest, "") if word in {"--config-path", "--config-dir"} else None
        if following is None and not word.startswith(_NOT_REPEATED):
            typed.append(word)
        elif following is not None and "/.configs" not in following:
            typed += [word, following]
    return typed


def _versions(collection: Collection) -> str:
    by_name: dict[str, set[str]] = {}
    for run in collection.runs:
        for name, version in (run.facts.versions or {}).items():
            by_name.setdefault(printable(name, 40), set()).add(printable(version, 40))
    here = f"report made with python {sys.version.split()[0]}, vl-convert {metadata.version('vl-convert-python')}"
    return ", ".join(
        [*(f"{name} {' / '.join(sorted(versions))}" for name, versions in by_name.items()), here]
    )
