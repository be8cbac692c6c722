"""The report's section on joined networks: a row a network, a row a test, sentences as far as the tests allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.reporting.biases.networks import Networks
from unseen.reporting.biases.scatter_panels import scatter
from unseen.reporting.joined_networks import ACCURACY, Association, Join
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.figures import side_by_side
from unseen.reporting.number_texts import p_text, signed, too_few_to_rank
from unseen.reporting.statistics.association import FEWEST_TO_RANK, detectable_correlation, needed_correlation
from unseen.reporting.statistics.claims import OF_A_PAGE, SIGNIFICANT
from unseen.reporting.statistics.intervals import Floats
from unseen.reporting.studies.study_about import about_of
from unseen.reporting.studies.study_effects import level_of
from unseen.reporting.tables import Cell, Column, Row, Table
from unseen.reporting.theme import FILES, PAGE
from unseen.reporting.vega_lite import Spec
from unseen.wording import count, listing

_NEAR_CHANCE = 2.0  # times what guessing gives
_MARKS = "A mark a network: its mean over class splits and seeds."


@dataclass(frozen=True)
class JoinSection:
    """What the page shows of a join."""

    identifier: str
    title: str
    size: str
    sentences: tuple[str, ...]
    networks: Table
    tests: Table  # without rows where nothing is tested
    panels: tuple[tuple[str, str], ...]  # names and labels of the figures
    specs: dict[str, Spec]
    files: dict[str, Spec]


def join_sections(joins: Sequence[Join], unlinked: int) -> list[JoinSection]:
    """Return the sections; the first says how many runs of biases.py belong to none of their networks."""
    return [_section(join, unlinked if at == 0 else 0) for at, join in enumerate(joins)]


def _section(join: Join, unlinked: int) -> JoinSection:
    name, title = join.contest.identifier, join.contest.title
    networks = _drawn(join)
    measures = list(networks.biases)
    specs = {
        f"join-{name}-{at}": scatter(networks, measure, "g", {}, PAGE) for at, measure in enumerate(measures)
    }
    panels = tuple((f"join-{name}-{at}", f"{measure} against g") for at, measure in enumerate(measures))
    parts = [(measure, scatter(networks, measure, "g", {}, FILES)) for measure in measures]
    files = {}
    if parts:
        heading = f"g against what else was measured, {title}"
        files[f"joined_{name}"] = side_by_side(parts, heading, _MARKS, columns=4)
    return JoinSection(
        name, title, join.contest.size, tuple(join_sentences(join, unlinked)), networks_table(join),
        tests_table(join), panels, specs, files,
    )  # fmt: skip


def _drawn(join: Join) -> Networks:
    columns = {ACCURACY: [config.accuracy for config in join.networks]} | dict(join.measures)
    means = {
        name: np.array([cell.mean if cell.n else math.nan for cell in cells])
        for name, cells in columns.items()
    }
    shown = {name: values for name, values in means.items() if _varies(values[np.isfinite(values)])}
    g = np.array([config.score.mean for config in join.networks])
    return Networks(join.names, ("own network",) * len(join.names), shown, {"g": g}, {})


def _varies(values: Floats) -> bool:
    """Return whether there is anything to see: a measure of three networks or more that is not the same in all."""
    return len(values) >= 3 and bool(np.ptp(values) > 0)


# ------------------------------------------------------------------ tables
def networks_table(join: Join) -> Table:
    """Return a row a network: g, seen accuracy, and every measure."""
    levels = [_levels(config) for config in join.networks]
    of_study = [Column("level of the study")] if any(levels) else []
    heading = [
        Column("network"),
        *of_study,
        Column("runs", hint="class splits and seeds"),
        Column("g", spread=False),
    ]
    columns = (
        *heading, Column(ACCURACY, spread=False), Column("best layer"),
        *(Column(name, spread=False) for name in join.measures),
    )  # fmt: skip
    rows = []
    for at, config in enumerate(join.networks):
        cells: list[Cell] = [config.label, *([levels[at]] if of_study else [])]
        cells += [str(config.units), config.score, config.accuracy]
        cells.append(f"{config.g.best_layer} of 0..{config.last_layer}")
        cells += [of[at] if of[at].n else None for of in join.measures.values()]
        rows.append(Row(tuple(cells), config.model, config.data))
    note = (
        "Means over the class splits and seeds that all of these networks have, with 95 % t intervals over them from "
        "three on; g is cross-fitted. In brackets the images that a bias was measured on: a network's own seen test "
        "images differ from split to split, so that only means over the same splits compare. IIMM: of an encoder whose "
        "image tower has the weights that the network's fine-tuning began with, in brackets; its mean over runs of "
        "transfer.py."
    )
    name, title = join.contest.identifier, join.contest.title
    return Table(
        f"joined_networks_{name}", f"g, biases and transfer scores, {title}", note, columns, tuple(rows)
    )


def _levels(config: Configuration) -> str:
    """Return the levels of what its study sweeps, "" where it is of none."""
    found = about_of(config.runs[0].config.get("study"))
    named = found.reference if found else {}
    return ", ".join(f"{name}={level_of(config.runs[0], name, str(level))}" for name, level in named.items())


def tests_table(join: Join) -> Table:
    """Return a row a measure: its rank correlation with g over networks, and that given the seen accuracy."""
    note = (
        "Spearman's ρ with g over the n networks that have a value; p by permutation of networks, all orders counted "
        "up to eight. Given accuracy: partial correlation of the ranks given the seen accuracy, p by permuting what is "
        "left of g's ranks: approximate, and below .05 by chance in a tenth of cases where measure and g both follow "
        "accuracy closely, so that no sentence rests on it. Holm: corrected for all p of this table."
    )
    columns = (
        Column("measure"), Column("n", hint="networks"), Column("ρ with g", 2), Column("p", probability=True),
        Column("p (Holm)", probability=True), Column("ρ given accuracy", 2),
        Column("p, given accuracy", probability=True), Column("p (Holm), given accuracy", probability=True),
    )  # fmt: skip
    rows = [
        Row(
            (
                row.measure, row.found.n, row.found.rho, row.found.p, row.corrected, row.partial, row.partial_p,
                row.partial_corrected,
            ),
            mark="best" if row.written else "",
        )
        for row in join.associations
    ]  # fmt: skip
    name, title = join.contest.identifier, join.contest.title
    return Table(
        f"joined_tests_{name}",
        f"Does a bias or a transfer score go with g, {title}?",
        note,
        columns,
        tuple(rows),
    )


# ------------------------------------------------------------------ in words
def join_sentences(join: Join, unlinked: int) -> list[str]:
    """Return what the join shows; that a measure goes with g is said only where its test passes."""
    n, first = len(join.networks), join.networks[0]
    sentences = [
        f"Biases and g of {count(n, 'network')} on {join.contest.title} are joined, over {first.units} that all have: "
        f"{listing(join.names, 12)}."
    ]
    sentences += [f"Nothing is tested: {join.problem}."] if join.problem else _tested(join, n)
    if near := _near_chance(join):
        sentences.append(
            f"{listing(near, 12)} {'name' if len(near) > 1 else 'names'} at most {_NEAR_CHANCE:g} times as many seen "
            "images right as guessing would: measures that divide by this accuracy are mostly noise there."
        )
    if not join.transfer:
        sentences.append("No run of transfer.py names one of these networks, so there is no IIMM of them.")
    if unlinked:
        sentences.append(
            f"{count(unlinked, 'run')} of biases.py on other trained networks {'is' if unlinked == 1 else 'are'} not "
            "joined: the training run is not in this report, or ended at another step than the one that was measured."
        )
    return sentences


def _tested(join: Join, n: int) -> list[str]:
    if n < FEWEST_TO_RANK:
        return [too_few_to_rank(n)]
    rows = join.associations
    simple = [row for row in rows if not math.isnan(row.found.p)]
    partial = [row for row in rows if not math.isnan(row.partial_p)]
    tests = len(simple) + len(partial)
    claims = [_claim(row) for row in simple if row.written]
    least = min((row.corrected for row in simple), default=math.nan)
    alone, most = needed_correlation(n, SIGNIFICANT), needed_correlation(n, OF_A_PAGE / max(tests, 1))
    of_all = f"|ρ| ≥ {signed(most)}" if not math.isnan(most) else "more than any ρ can give"
    found = detectable_correlation(n)
    return [
        f"{count(len(simple), 'rank correlation')} with g were tested over networks by permutation, and counted with "
        f"{len(partial)} given the seen accuracy (p ≤ .05 and, by Holm, ≤ .10): "
        + (f"{'; '.join(claims)}." if claims else f"none is shown; the least corrected {p_text(least)}."),
        f"Of {n} networks one correlation alone needs |ρ| ≥ {signed(alone)} for p ≤ .05, and the first of {tests} "
        f"tests {of_all}; a true correlation of {signed(found)} is found by one test alone in 80 % of cases, so what "
        "is not shown is not absent. These networks differ in many things at once: a correlation does not say what "
        "happens to a network whose bias is changed.",
    ]


def _claim(row: Association) -> str:
    size = "larger" if row.found.rho > 0 else "smaller"
    given = ""
    if not math.isnan(row.partial_p):
        given = f"; given the seen accuracy ρ = {signed(row.partial)}, {p_text(row.partial_p)} alone"
    rho = f"ρ = {signed(row.found.rho)}, {p_text(row.corrected)} by Holm"
    return f"g is {size} where {row.measure} is larger ({rho}{given})"


def _near_chance(join: Join) -> list[str]:
    near = []
    for config in join.networks:
        classes = config.runs[0].facts.seen_classes
        if classes and config.accuracy.n and config.accuracy.mean <= _NEAR_CHANCE / classes:
            near.append(config.label)
    return near
