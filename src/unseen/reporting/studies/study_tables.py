"""The table of a study's factors, and its answer in sentences as far as the tests allow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.number_texts import p_text, signed, spans, unsigned, with_interval
from unseen.reporting.run_files import range_of
from unseen.reporting.statistics.best_layer import Generalization, generalization
from unseen.reporting.statistics.claims import CORRECTED, RULE
from unseen.reporting.statistics.design import components
from unseen.reporting.statistics.intervals import estimate
from unseen.reporting.statistics.units import table_of
from unseen.reporting.studies.paired_levels import Effect
from unseen.reporting.studies.study_effects import Factor, Level, Study
from unseen.reporting.tables import Cell, Column, Row, Table
from unseen.wording import count, listing

MEASURES = {"nmi": "g", "ami": "g by AMI"}


def study_table(study: Study) -> Table:
    """Return a row for each level of each factor, the reference first."""
    g = MEASURES[study.about.measure]
    note = (
        f"{g}: cross-fitted over n units [95 % t interval, from three units on], the mean over the networks, data "
        "sets and levels of the other factors, which count as given. Differences from the reference are paired over "
        "the class splits and seeds that both levels have in each of these; p is two-sided, and "
        f"{CORRECTED}. Best layer: the largest in the mean, and in how many units. "
        "ρ: Spearman's correlation of the two mean curves over the layers; neighbouring layers are alike, so it has "
        "no p."
    )
    columns = (
        Column("factor"), Column("level"), Column(g, spread=False), Column("accuracy", spread=False),
        Column("best layer"), Column(f"{g} − reference", spread=False), Column("above", hint="in so many units"),
        Column("p", probability=True), Column("p (corrected)", probability=True),
        Column("accuracy − reference", spread=False), Column("ρ of the curves", 2), Column("runs compared"),
    )  # fmt: skip
    rows = [
        Row(_cells(factor, level), mark="best" if level.value == factor.reference else "")
        for factor in study.factors
        for level in factor.levels
    ]
    name, size = study.about.name, study.size
    return Table(f"study_{name}_{size}", f"Study {name}, {size} size", note, columns, tuple(rows))


def _cells(factor: Factor, level: Level) -> tuple[Cell, ...]:
    effect, shown = level.effect, level.value + " (reference)" * (level.value == factor.reference)
    mine: tuple[Cell, ...] = (factor.setting, shown, level.g, level.accuracy, "; ".join(level.best_layers))
    if effect is None:
        return (*mine, None, None, None, None, None, None, None)
    above = f"{effect.above} of {effect.g.n}"
    return (
        *mine,
        effect.g,
        above,
        effect.p,
        effect.corrected,
        effect.accuracy,
        effect.rho,
        _compared(effect),
    )


def _compared(effect: Effect) -> str:
    return effect.design + (f", in each of {effect.strata} settings of the rest" if effect.strata > 1 else "")


def g_by(config: Configuration, measure: str) -> Generalization | None:
    """Return g of a configuration by a measure, nmi or ami; None where its runs have no layer of it in common."""
    if measure == "nmi":
        return config.g  # without runs that lack a layer
    found = generalization(config.units.arrange(config.layers("unseen", measure)[:, -1]))
    return found and found.within(*range_of(measure))


def study_sentences(study: Study) -> list[str]:
    """Return what the study shows; that a level changes g is said only where its test passes."""
    if not study.about.reference:
        return [*study.problems, *(_spread(config, study.about.measure) for config in study.configurations)]
    sentences = [_of_factor(factor, MEASURES[study.about.measure]) for factor in study.factors]
    return [*study.problems, *sentences]


def _of_factor(factor: Factor, g: str) -> str:
    known = [level for level in factor.levels if level.g.n]
    compared = [level for level in factor.levels if level.effect]
    if not compared:
        return (
            f"{factor.setting}: nothing is compared, because no class split and seed was run at its reference "
            f"{factor.reference} and at another level."
        )
    parts = []
    if len(known) > 1:
        low, high = (pick(known, key=lambda level: level.g.mean) for pick in (min, max))
        parts.append(
            f"the mean {g} ranges from {signed(low.g.mean)} ({low.value}) to {signed(high.g.mean)} ({high.value})"
        )
    parts.append(_changes(compared, g))
    text = f"{factor.setting}, against {factor.reference}: {'; '.join(parts)}."
    first = next(level.effect for level in compared if level.effect)
    return f"{text} Over {_compared(first)}; intervals hold for {first.scope}."


def _changes(compared: Sequence[Level], g: str) -> str:
    """Return which levels are shown to change g."""
    tested = [(level, level.effect) for level in compared if level.effect and not math.isnan(level.effect.p)]
    if not tested:
        return f"whether {g} changes is not tested, which takes three class splits or seeds"
    shown = [
        f"{'raised' if effect.g.mean > 0 else 'lowered'} at {level.value} by {_size(effect)}"
        for level, effect in tested
        if effect.written
    ]
    rest = len(tested) - len(shown)
    if shown:
        others = f"; at {count(rest, 'other level')} no change is shown" if rest else ""
        return f"{g} is {listing(shown)} ({RULE}){others}"
    least = min(effect.corrected for _, effect in tested)
    return (
        f"at none of {count(rest, 'other level')} is {g} shown to change ({RULE}; the least corrected "
        f"{p_text(least)}), which does not show that it stays"
    )


def _size(effect: Effect) -> str:
    size = f"{with_interval(unsigned(effect.g))}, {p_text(effect.corrected)} corrected"
    accuracy = f"; accuracy changes by {with_interval(effect.accuracy)}" if effect.accuracy.n else ""
    return size + accuracy


def _spread(config: Configuration, measure: str) -> str:
    """Return how much g and the best layer vary over class splits and seeds."""
    g, units, name = g_by(config, measure), config.units, measure.upper()
    if g is None:
        return f"{config.label} on {config.where}: its runs have no {name} of the same layers."
    values = config.layers("unseen", measure)[:, -1, g.best_layer]  # (R,)
    found = components(table_of(values, config.cells))
    text = (
        f"{config.label} on {config.where}: {MEASURES[measure]} is {with_interval(g.score)} over {units} "
        f"({units.scope})"
    )
    spreads = [
        f"{signed(math.sqrt(variance))} {what}"
        for variance, what in (
            (found.split, "over class splits"), (found.seed, "over seeds alike in all splits"),
            (found.residual, "left"),
        )
        if not math.isnan(variance)
    ]  # fmt: skip
    if spreads:
        text += f"; the {name} of its best layer has standard deviations of {listing(spreads)}"
    elif not math.isnan(g.plain.std):
        text += f"; the {name} of its best layer has a standard deviation of {signed(g.plain.std)} over {units.noun}"
    best = f"Layer {g.best_layer} of 0..{config.last_layer} is best in the mean"
    wins = f"in {g.wins[g.best_layer]} of {g.plain.n} {units.noun}"
    candidates = spans(np.flatnonzero(g.candidates).tolist())
    pixels = estimate(units.arrange(config.pixels("unseen", measure)[:, -1])).within(*range_of(measure))
    beside = f" Raw pixels have {with_interval(pixels)}." if pixels.n else ""
    return f"{text}. {best} and {wins}; layers that cannot be excluded as the best: {candidates}.{beside}"
