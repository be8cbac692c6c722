"""The report's section on biases: its sentences, tables and figures, from the runs of biases.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.biases.correlations import correlate
from unseen.reporting.biases.differences import Difference, differences
from unseen.reporting.biases.figure_marks import OWN, category_colours
from unseen.reporting.biases.network_names import telling_names
from unseen.reporting.biases.networks import Networks, published_networks
from unseen.reporting.biases.own_networks import networks_of
from unseen.reporting.biases.own_study import by_permutation, measured, own_words
from unseen.reporting.biases.pass_curves import has_curves, pass_curves
from unseen.reporting.biases.scatter_panels import MARKS_NOTE, scatter_grid, scatter_rows
from unseen.reporting.biases.section_tables import (
    difference_table,
    every_value,
    network_table,
    not_measured_table,
    seed_table,
)
from unseen.reporting.biases.study_folder import OVERLAY_NOTE, SOURCE
from unseen.reporting.biases.study_tables import correlation_table
from unseen.reporting.tables import Table, shown
from unseen.reporting.theme import FILES, PAGE
from unseen.reporting.vega_lite import Spec
from unseen.wording import count, listing

_MOST_NAMED = 6  # differences in a sentence
_CURVES = ("low_pass", "high_pass")


@dataclass(frozen=True)
class BiasSection:
    """What the section holds; empty where there is no run of biases.py.

    Attributes:
        sentences: What was found, the most important first.
        correlated: What correlations over the networks show.
        tables: By name.
        specs: The figures of the page by name.
        scatter: Headings, each with the names and labels of its figures.
        curves: Which of low_pass and high_pass are figures.
        colours: The categories of the published networks, with their colours.
        files: The figures for files by name.
        note: On the scatter panels.
        source: Whose numbers the background is.
    """

    sentences: tuple[str, ...] = ()
    correlated: tuple[str, ...] = ()
    tables: dict[str, Table] = field(default_factory=dict)
    specs: dict[str, Spec] = field(default_factory=dict)
    scatter: tuple[tuple[str, list[tuple[str, str]]], ...] = ()
    curves: tuple[str, ...] = ()
    colours: tuple[tuple[str, str], ...] = ()
    files: dict[str, Spec] = field(default_factory=dict)
    note: str = MARKS_NOTE + OVERLAY_NOTE
    source: str = SOURCE


def bias_section(runs: Sequence[BiasRun]) -> BiasSection:
    """Return the section on some networks, a run of biases.py each."""
    if not runs:
        return BiasSection()
    own = networks_of(runs)
    names = tuple(telling_names(runs, own.names))
    own = replace(own, names=names)
    found, problems = differences(runs, names)
    groups = of_several_seeds(runs)
    tables = [network_table(runs, names)]
    if groups:
        tables.append(seed_table(groups))
    # trainings of one network are no independent points; joined_networks averages them first
    correlations, correlated = (replace(correlation_table([]), name="own_correlations"), list[str]())
    if not _repeat_a_network(runs):
        correlations, correlated = _correlations(own)
    tables += [
        difference_table(found),
        correlations,
        every_value(runs, names),
        not_measured_table(runs, names),
    ]
    background = published_networks()
    background = replace(
        background, biases={name: values for name, values in background.biases.items() if name in own.biases}
    )
    specs, panels = scatter_rows(background, [], own, prefix="bias-scatter")
    curves = tuple(kind for kind in _CURVES if has_curves(own, kind))
    specs |= {f"bias_{kind}": pass_curves(background, kind, PAGE, own) for kind in curves}
    files = {f"bias_{kind}": pass_curves(background, kind, FILES, own) for kind in curves}
    if panels:
        files["bias_scatter"] = scatter_grid(background, [], own)
    colours = category_colours(background, PAGE)
    return BiasSection(
        (*_sentences(runs, names, found, groups), *problems),
        tuple(correlated),
        {table.name: table for table in tables if table.rows},
        specs,
        tuple(panels),
        curves,
        tuple(zip(colours["domain"], colours["range"], strict=True)),
        files,
    )


def _repeat_a_network(runs: Sequence[BiasRun]) -> bool:
    trained = [run.facts.model for run in runs if run.facts.trained]
    return len(set(trained)) < len(trained)


def _correlations(own: Networks) -> tuple[Table, list[str]]:
    """Return the correlations over own networks, without rows where too few have both a bias and an accuracy."""
    try:
        networks = measured(own)
        rows = by_permutation(correlate(networks, OWN))
    except ValueError:
        return replace(correlation_table([]), name="own_correlations"), []
    title = "Do biases and accuracies of these networks go together?"
    return replace(correlation_table(rows), name="own_correlations", title=title), own_words(networks, rows)


def of_several_seeds(runs: Sequence[BiasRun]) -> dict[str, list[BiasRun]]:
    """Return networks of the main job that differ in their seed alone, two or more of each, by what they are called."""
    alike: dict[str, dict[int, BiasRun]] = {}
    for run in sorted(runs, key=lambda run: run.facts.written or ""):
        if run.trained_alike:
            alike.setdefault(run.trained_alike, {})[run.facts.seed] = run  # of one seed the newest
    several = [[of[seed] for seed in sorted(of)] for of in alike.values() if len(of) > 1]
    titles = [f"{of[0].facts.model} on {of[0].facts.trained.data}" for of in several if of[0].facts.trained]
    return {
        title if titles.count(title) == 1 else f"{title} ({at})": of
        for at, (title, of) in enumerate(zip(titles, several, strict=True), start=1)
    }


# ------------------------------------------------------------------ in words
def _sentences(
    runs: Sequence[BiasRun],
    names: Sequence[str],
    found: Sequence[Difference],
    groups: dict[str, list[BiasRun]],
) -> list[str]:
    sentences = [f"Biases of {count(len(runs), 'network')} were measured: {listing(names)}."]
    sentences += _differ(found)
    sentences.append(
        "Each interval is over images of one network: what other images of the same kind would give. It says nothing "
        "about another seed of its training, so a difference of two networks is one of these two."
    )
    if groups:
        sentences.append(
            "Of networks that were trained with several seeds there are means over seeds: "
            f"{', '.join(f'{name} ({len(of)})' for name, of in groups.items())}."
        )
    if limits := sorted({run.facts.limit for run in runs if run.facts.limit is not None}):
        sentences.append(
            f"A quick look: at most {' or '.join(map(str, limits))} images of each set were used (limit=)."
        )
    if any(run.facts.faithful for run in runs):
        sentences.append("Some values have the errors of the paper's code, as faithful=true asks.")
    return sentences


def _differ(found: Sequence[Difference]) -> list[str]:
    tested = [row for row in found if not math.isnan(row.p)]
    if not tested:
        return []
    claims = sorted((row for row in tested if row.written), key=lambda row: row.p)
    text = "; ".join(_claim(row) for row in claims[:_MOST_NAMED])
    more = f"; {len(claims) - _MOST_NAMED} more are in the table" if len(claims) > _MOST_NAMED else ""
    what = count(len(tested), "difference")
    of_networks = (
        f"{what} of two networks over the same images {'was' if len(tested) == 1 else 'were'} tested"
    )
    return [f"{of_networks}; " + (f"shown: {text}{more}." if claims else "no test shows one.")]


def _claim(row: Difference) -> str:
    first, second = (row.first, row.second) if row.value.mean > 0 else (row.second, row.first)
    low, high = sorted((abs(row.value.low), abs(row.value.high)))
    by = f"{shown(abs(row.value.mean))} [{shown(low)}, {shown(high)}]"
    return f"{row.measure.replace('_', ' ')} on {row.images} is higher by {by} in {first} than in {second}"
