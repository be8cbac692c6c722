"""The page: one HTML file that holds everything it shows and loads nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
import yaml
from markupsafe import Markup

from unseen.probe_table import SHOWN
from unseen.reporting import contest_figures, setting_figures
from unseen.reporting.analysis import Analysis, Contest, Setting
from unseen.reporting.answer import answer, findings, paper_sentence
from unseen.reporting.embeddings import pictures
from unseen.reporting.figure_parts import MOST_LINES, Spec
from unseen.reporting.listing_tables import what_was_measured
from unseen.reporting.looks import PAGE
from unseen.reporting.paper import PaperRow, why_not_comparable
from unseen.reporting.records import Collection
from unseen.reporting.tables import FORMS, LONGEST_FOR_PEOPLE, Table, shown, sort_value
from unseen.reporting.texts import file_name
from unseen.scores import CHANCE_PROBE

MOST_CARDS = 40  # settings with figures of their own; each is about 30 kB
_MOST_WITH_PICTURES = 12
_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, eq=False)
class Content:
    """What the page is made of.

    Attributes:
        collection: The runs and the folders that were left out.
        analysis: What they say.
        paper: Printed numbers and ours.
        tables: By name.
        commands: Lines that make the runs again.
        report_command: The line that makes the page again.
        versions: Of what made the numbers.
        made: When.
    """

    collection: Collection
    analysis: Analysis
    paper: Sequence[PaperRow]
    tables: dict[str, Table]
    commands: Sequence[str]
    report_command: str
    versions: str
    made: datetime


def contest_id(contest: Contest) -> str:
    """Return the part of file names that says which data set and size a figure is of."""
    return file_name(contest.data, contest.size)


def top_of_heat(contest: Contest) -> float:
    """Return the upper end of the colours, shared by all heat maps of a data set."""
    tops = [float(setting.g_of_steps.mean[setting.g_of_steps.n > 0].max()) for setting in contest.settings]
    return max(0.1, round(max(tops) + 0.05, 1))


def shown_settings(analysis: Analysis) -> list[tuple[Contest, Setting]]:
    """Return the settings that get figures: the best of each data set, as many as the page can hold."""
    each = max(1, MOST_CARDS // max(1, len(analysis.contests)))
    return [(contest, setting) for contest in analysis.contests for setting in contest.settings[:each]][
        :MOST_CARDS
    ]


def page(content: Content) -> str:
    """Return the page as HTML."""
    analysis = content.analysis
    specs: dict[str, Spec] = {}
    problems: list[str] = []
    cards = _cards(analysis, specs, problems)
    contests = [_contest(contest, specs) for contest in analysis.contests]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS), autoescape=True, undefined=jinja2.StrictUndefined
    )
    settings = analysis.settings
    return environment.get_template("page.html.j2").render(
        title="unseen: which network, which layer",
        css=Markup(_asset("page.css")),
        js=Markup(_asset("page.js")),
        vega=Markup(_vega()),
        specs=Markup(_json(specs)),
        made=content.made.strftime("%Y-%m-%d %H:%M"),
        counts=_counts(content),
        banner=_banner(analysis),
        contests=contests,
        cards=cards,
        more_settings=len(settings) - len(cards),
        models=sorted({setting.group.model for setting in settings}),
        data_sets=sorted({setting.group.data for setting in settings}),
        probes=SHOWN,
        nmi_chance=any(("unseen", CHANCE_PROBE) in setting.group.probes for setting in settings),
        accuracy_missing=any((setting.accuracy_of_steps.n[:-1] == 0).any() for setting in settings),
        many_lines=MOST_LINES if any(len(one.settings) > MOST_LINES for one in analysis.contests) else 0,
        measured=what_was_measured(analysis),
        tables=content.tables,
        endings=lambda table: list(FORMS) if len(table.rows) <= LONGEST_FOR_PEOPLE else ["csv"],
        sort_value=sort_value,
        paper_sentence=paper_sentence(content.paper),
        any_paper=any(row.ours for row in content.paper),
        not_comparable=_not_comparable(settings),
        picture_problems=problems,
        no_pictures=not any(card["pictures"] for card in cards) and not problems,
        configs=_configs([setting for _, setting in shown_settings(analysis)]),
        unscored=analysis.unscored,
        commands=content.commands,
        report_command=content.report_command,
        versions=content.versions,
    )


def _cards(analysis: Analysis, specs: dict[str, Spec], problems: list[str]) -> list[dict[str, Any]]:
    found = []
    for place, (contest, setting) in enumerate(shown_settings(analysis)):
        group, g = setting.group, setting.g
        name = group.identifier
        specs[f"layers-{name}"] = setting_figures.layer_curves(setting, PAGE)
        specs[f"heat-{name}"] = setting_figures.heat_map(setting, PAGE, top=top_of_heat(contest))
        taken, problem = pictures(setting) if place < _MOST_WITH_PICTURES else ([], "")
        if problem and any(run.embeddings for run in group.runs):
            problems.append(problem)
        shown_pictures = []
        for number, picture in enumerate(taken):
            key = f"picture-{name}-{number}"
            specs[key] = setting_figures.scatter(picture.points, picture.classes, PAGE)
            shown_pictures.append({"title": picture.title, "spec": key})
        best = f"best layer {g.best_layer} of 0..{setting.last_layer} ({group.layer_names[g.best_layer]})"
        runs = "1 run" if len(group.runs) == 1 else f"{len(group.runs)} seeds"
        card = {
            "id": name,
            "label": group.label,
            "model": group.model,
            "data": group.data,
            "size": group.size,
        }
        line = f"{best}, NMI {shown(g.of_mean, 2)}, {runs}"
        found.append(card | {"line": line.replace(" (one run)", ""), "pictures": shown_pictures})
    return found


def _contest(contest: Contest, specs: dict[str, Spec]) -> dict[str, Any]:
    name = contest_id(contest)
    specs[f"g-{name}"] = contest_figures.over_steps(contest, PAGE, what="g")
    has_accuracy = any(setting.accuracy.n for setting in contest.settings)
    if has_accuracy:
        specs[f"accuracy-{name}"] = contest_figures.over_steps(contest, PAGE, what="accuracy")
        specs[f"scatter-{name}"] = contest_figures.accuracy_and_g(contest, PAGE)
    destroyed = contest_figures.destroyed(contest, PAGE)
    if destroyed:
        specs[f"destroyed-{name}"] = destroyed
    return {
        "id": name,
        "data": contest.data,
        "title": contest.data,
        "size": contest.size,
        "answer": answer(contest),
        "findings": findings(contest),
        "has_accuracy": has_accuracy,
        "has_destroyed": destroyed is not None,
    }


def _counts(content: Content) -> str:
    runs, others = len(content.collection.runs), len(content.collection.left_out)
    settings = len(content.analysis.settings)
    text = f"{_several(runs, 'finished run')} in {_several(settings, 'setting')}"
    return text + (f", {_several(others, 'folder')} left out (listed below)" if others else "")


def _several(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _banner(analysis: Analysis) -> str:
    if any(contest.size != "paper" for contest in analysis.contests):
        return (
            "Runs marked demo are small networks on small images. They show how layers of such networks compare; they "
            "cannot be set beside the papers' numbers and are not in that table."
        )
    return ""


def _not_comparable(settings: Sequence[Setting]) -> list[str]:
    found = []
    for setting in settings:
        reason = why_not_comparable(setting.group) if setting.group.size == "paper" else ""
        if reason:
            found.append(f"{setting.group.label} on {setting.group.data}: {reason}")
    return found


def _configs(settings: Sequence[Setting]) -> list[dict[str, str]]:
    found = []
    for setting in settings:
        run = setting.group.runs[0]
        if run.config:
            kept = {
                key: value for key, value in run.config.items() if key not in ("paths", "logger", "hydra")
            }
            text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
            label = f"{setting.group.label} on {setting.group.data} ({setting.group.size}), seed {run.seed}"
            found.append({"label": label, "text": text, "model": run.model, "data": run.data})
    return found


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that sets `vegaEmbed`."""
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _json(content: object) -> str:
    """Return JSON that cannot end the script element which it stands in."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
