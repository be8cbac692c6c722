"""The regret of rules that choose a layer: its tables, and what they show in sentences."""

from __future__ import annotations

import math

from unseen.reporting.layers.layer_choice import BASELINES, LAST, Choice, LayerChoice
from unseen.reporting.number_texts import p_text, signed, with_interval
from unseen.reporting.statistics.claims import CORRECTED, RULE
from unseen.reporting.tables import Cell, Column, Row, Table
from unseen.selector_table import SELECTORS
from unseen.wording import count

_SOURCES = {selector.rule: selector.source for selector in SELECTORS.values()}


def regret_table(found: LayerChoice) -> Table:
    """Return a row a rule, least regret first."""
    rows = []
    for one in found.choices:
        best = None if one.best_in is None else f"{one.best_in} of {one.runs}"
        gains: list[Cell] = [part for gain in one.gains for part in (gain.value, gain.corrected)]
        gains = gains or [None] * 4
        cells = (one.name, one.reads, one.runs, best, one.regret, *gains, _SOURCES.get(one.name, "–"))
        rows.append(Row(cells))
    note = (
        f"{found.runs}. Regret: NMI of the unseen classes at the best layer of a run minus that at the layer that the "
        "rule takes. The best of several measured layers is above the truly best one, so all regrets are too large by "
        "the same amount; gains over a baseline, in the same runs, are not. Units are class splits (or seeds), each "
        "the mean over networks; networks and data sets count as given, so nothing is said about others. Intervals and "
        f"p are over {found.scope}; p is two-sided and {CORRECTED}. Best layer of "
        "other splits: by the NMI of other withheld classes after training without them; those networks were trained "
        "on classes that are unseen here. A layer at random is its expectation. Directions are those of the sources."
    )
    columns = (
        Column("rule"), Column("reads"), Column("runs", 0), Column("best layer", hint="in so many runs"),
        Column("regret", spread=False), Column("gain over last", spread=False),
        Column("p (last)", probability=True), Column("gain over penultimate", spread=False),
        Column("p (penultimate)", probability=True), Column("source"),
    )  # fmt: skip
    return Table(
        "layer_selection", "Which layer, without labels of the unseen classes?", note, columns, tuple(rows)
    )


def choices_table(found: LayerChoice) -> Table:
    """Return a row a run and rule: long, for programs."""
    rows = []
    for one in found.single:
        facts, config = one.config.runs[one.run].facts, one.config
        cells = (
            config.label, config.where, config.size, facts.split_hash, facts.seed, one.rule, one.layer,
            config.layer_names[one.layer], one.nmi, one.regret,
        )  # fmt: skip
        rows.append(Row(cells, config.model, config.data))
    names = ("network", "data", "size", "split", "seed", "rule", "layer", "name", "NMI", "regret")
    return Table(
        "layer_selection_runs", "The layer that each rule takes in each run",
        "NMI of the unseen classes at that layer.", tuple(map(Column, names)), tuple(rows),
    )  # fmt: skip


def selection_sentences(found: LayerChoice) -> list[str]:
    """Return what the regrets show; a rule is named better or worse than a baseline only where its test passes."""
    if not found.choices:
        return []
    rules = {one.name: one for one in found.choices}
    sentences = []
    if LAST in rules:
        last = rules[LAST]
        sentences.append(
            f"In {count(last.runs, 'run')} ({found.runs}) always taking the last layer costs "
            f"{with_interval(last.regret)} of NMI against the best layer of each run, which it takes in {last.best_in}."
        )
    return sentences + [_against(place, baseline, found.choices) for place, baseline in enumerate(BASELINES)]


def _against(place: int, baseline: str, choices: tuple[Choice, ...]) -> str:
    tested = [one for one in choices if one.gains and not math.isnan(one.gains[place].p)]
    if not tested:
        return (
            f"Whether a rule is better than {baseline} is not tested: that takes three class splits or seeds."
        )
    shown = [one for one in tested if one.gains[place].written]
    parts = []
    for word, sign in (("better", 1), ("worse", -1)):
        which = [one for one in shown if sign * one.gains[place].value.mean > 0]
        named = ", ".join(f"{one.name} by {signed(abs(one.gains[place].value.mean))}" for one in which)
        parts.append(
            f"{word} than {baseline}: {named}" if which else f"none is shown to be {word} than {baseline}"
        )
    least = min(one.gains[place].corrected for one in tested)
    rule = f"{RULE}; the least corrected {p_text(least)}"
    return f"Of {len(tested)} rules, {'; '.join(parts)} ({rule})."
