"""What the settings that a study sweeps do to g: each value against a reference, paired over class splits and seeds.

A study names its factors, and the level of each that the others are compared with, in its configuration
(`study.reference`). Runs that share the network (unless that is a factor), the data and the levels of all other factors
are a *stratum*. A level is compared with the reference within each stratum, on the splits and seeds that both have
there; the differences are averaged over strata, which count as given, as networks do: nothing is said about others. g
is cross-fitted, so that no level gains by having more layers or noisier ones to choose from. All p of a study are
corrected together.

`paired_levels` compares two levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.run_files import range_of
from unseen.reporting.statistics.best_layer import generalization
from unseen.reporting.statistics.claims import with_verdicts
from unseen.reporting.statistics.intervals import Estimate
from unseen.reporting.studies.paired_levels import Effect, Shared, compare, of_units
from unseen.reporting.studies.study_about import About, about_of, by_study, order_of_level
from unseen.reporting.texts import printable
from unseen.settings import flatten

_LONGEST_LEVEL = 60
_OF_NETWORKS = {"model", "model.name"}  # factors whose levels are networks


@dataclass(frozen=True)
class Level:
    """One value of a factor."""

    value: str
    g: Estimate  # mean of the strata
    accuracy: Estimate
    best_layers: tuple[str, ...]  # of each stratum
    effect: Effect | None = None  # None of the reference, and where no unit is shared with it


@dataclass(frozen=True)
class Factor:
    """A setting, or a group of which one file is chosen."""

    setting: str
    reference: str
    levels: tuple[Level, ...]  # the reference first


@dataclass(frozen=True, eq=False)
class Study:
    """What the runs of one study show."""

    about: About
    size: str  # of all its runs
    factors: tuple[Factor, ...]
    configurations: tuple[Configuration, ...]
    problems: tuple[str, ...]
    parts: int  # of the page, which share its errors


def members_of_studies(configurations: Sequence[Configuration]) -> list[list[Configuration]]:
    """Return the configurations of each study, by name and size: demo or paper."""
    scored = [config for config in configurations if config.is_scored]
    found = by_study(scored, lambda config: config.runs[0].config.get("study"), lambda config: config.size)
    return [members for _, _, members in found]


def parts_of_studies(configurations: Sequence[Configuration]) -> int:
    """Return how many parts of the page its studies are: one each, and one more where layers are tested for a cue."""
    abouts = (
        about_of(members[0].runs[0].config.get("study")) for members in members_of_studies(configurations)
    )
    return sum(2 if about and about.analysis == "cue" else 1 for about in abouts)


def studies(configurations: Sequence[Configuration], parts: int = 1) -> tuple[Study, ...]:
    """Return the studies to which some of the configurations belong.

    Args:
        configurations: One for each network and setting.
        parts: Of the page, which share its errors (`claims`).
    """
    return tuple(_study(members, parts) for members in members_of_studies(configurations))


def _study(members: Sequence[Configuration], parts: int) -> Study:
    described = about_of(members[0].runs[0].config.get("study"))
    assert described is not None
    names = list(described.reference)
    references = {name: _text(level) for name, level in described.reference.items()}
    of_each = [found for config in members if (found := about_of(config.runs[0].config.get("study")))]
    if any(
        (one.reference, one.measure, one.analysis)
        != (described.reference, described.measure, described.analysis)
        for one in of_each
    ):
        problem = "Its runs name different references, so none are compared: report them apart."
        return Study(described, members[0].size, (), (), (problem,), parts)
    places: dict[tuple[str, ...], Configuration] = {}
    problems = []
    for config in members:
        levels = (level_of(config.runs[0], name, references[name]) for name in names)
        network = "" if _OF_NETWORKS.intersection(names) else config.model
        place = (network, config.data, *levels)
        if place in places:
            problems.append(
                f"{config.label} on {config.where} is not compared: other runs of this study have the same levels, "
                "and differ in further settings."
            )
        places.setdefault(place, config)
    factors = [
        _factor(name, references[name], at, places, described.measure) for at, name in enumerate(names, 2)
    ]
    corrected = tuple(_corrected(factors, parts))
    return Study(described, members[0].size, corrected, tuple(places.values()), tuple(problems), parts)


def level_of(run: Run, setting: str, reference: str) -> str:
    """Return the level of a factor in a run: a setting's value, or the file of a group that was typed for it."""
    if "." in setting:
        return _text(flatten(run.config).get(setting))
    typed = [part.partition("=")[2] for part in run.facts.command or () if part.partition("=")[0] == setting]
    return _text(typed[-1]) if typed else reference


def _text(level: Any) -> str:
    return "null" if level is None else printable(level, _LONGEST_LEVEL)


def _factor(
    setting: str, reference: str, at: int, places: Mapping[tuple[str, ...], Configuration], measure: str
) -> Factor:
    """Compare the levels of one factor; `at` is its place in the keys of `places`."""
    by_level: dict[str, dict[tuple[str, ...], Configuration]] = {}
    for place, config in places.items():
        by_level.setdefault(place[at], {})[(*place[:at], *place[at + 1 :])] = config
    others = by_level.get(reference, {})
    levels = []
    for value in sorted(by_level, key=lambda one: (one != reference, order_of_level(one))):
        configs = by_level[value]
        shared = [stratum for stratum in configs if stratum in others]
        effect = None
        if value != reference and shared:
            effect = compare([configs[one] for one in shared], [others[one] for one in shared], measure)
        levels.append(_level(value, list(configs.values()), measure, effect))
    return Factor(setting, reference, tuple(levels))


def _level(value: str, configs: Sequence[Configuration], measure: str, effect: Effect | None) -> Level:
    shared = Shared.of(configs, measure)
    best = []
    for config, rows in zip(configs, shared.rows, strict=True):
        if found := generalization(shared.units.arrange(config.layers("unseen", measure)[rows, -1])):
            wins = f"in {found.wins[found.best_layer]} of {found.plain.n}"
            best.append(f"{found.best_layer} of 0..{config.last_layer} ({wins})")
    g = of_units(shared.fits).within(*range_of(measure))
    return Level(value, g, shared.accuracy, tuple(dict.fromkeys(best)), effect)


def _corrected(factors: Sequence[Factor], parts: int) -> list[Factor]:
    """Return the factors with their p corrected for all of them."""
    effects = [level.effect for factor in factors for level in factor.levels if level.effect]
    judged = iter(with_verdicts(effects, parts))
    return [
        replace(
            factor,
            levels=tuple(replace(level, effect=level.effect and next(judged)) for level in factor.levels),
        )
        for factor in factors
    ]
