"""What the runs show: the configurations of one data set against each other, and data sets compared."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from unseen.reporting.by_key import by_key
from unseen.reporting.layers.configuration import Configuration, shared_units
from unseen.reporting.layers.place import differing, plain, split_names
from unseen.reporting.statistics.association import CurveAgreement, RankAgreement, curve_agreement, spearman
from unseen.reporting.statistics.claims import SIGNIFICANT, judged
from unseen.reporting.statistics.crossfit import Difference, difference
from unseen.reporting.statistics.design import Components, components
from unseen.reporting.statistics.intervals import DIFFERENCE, Floats
from unseen.reporting.statistics.units import Units, table_of
from unseen.reporting.texts import digest, file_name

_ALL_PAIRS_UP_TO = 12  # configurations of one contest; beyond, each is compared with the best only
_MOST_SPLITS_NAMED = 3
# what differs between data sets anyway
_OF_THE_DATA = ("data.train_size", "data.num_labels", "(layers)")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two configurations of one contest, compared over the splits and seeds that both have."""

    first: Configuration  # the one with the larger mean
    second: Configuration
    units: Units  # of the runs that both have
    found: Difference  # first - second
    spread: Components  # of one run's difference


@dataclass(frozen=True, eq=False)
class Contest:
    """Configurations that were measured alike: the same images, classes and probes."""

    configurations: tuple[Configuration, ...]  # ranked, largest g first
    others: tuple[tuple[Configuration, str], ...]  # measured alike, but not ranked; and why
    splits: Mapping[str, str]  # the class splits of the ranked ones: short names by their keys
    association: RankAgreement  # of seen-class accuracy and g, a point a network
    pairs: tuple[Pair, ...]  # first the one of the best two
    differs: str = ""  # from the other contests of its data set and size

    @property
    def best(self) -> Configuration:
        """The configuration with the largest g."""
        return self.configurations[0]

    @property
    def data(self) -> str:
        """Data set."""
        return self.best.data

    @property
    def size(self) -> str:
        """Size: demo or paper."""
        return self.best.size

    @property
    def by_plain_g(self) -> bool:
        """Whether it is ranked by plain g, because some configuration has a single unit."""
        return any(config.g.plain.n < 2 for config in self.configurations)

    @property
    def title(self) -> str:
        """What tells it from the other contests of a page."""
        return f"{self.data}, {self.differs}" if self.differs else self.data

    @property
    def identifier(self) -> str:
        """For files and anchors."""
        parts = (self.data, self.size)
        return file_name(*parts, digest(self.differs)) if self.differs else file_name(*parts)


@dataclass(frozen=True, eq=False)
class DataSetPair:
    """The curves of all networks on two data sets, at equal normalised depths."""

    first: str  # data set
    second: str
    size: str
    rhos: Mapping[str, float]  # Spearman's rho of the two mean curves of each network, by its label
    agreement: CurveAgreement


@dataclass(frozen=True, eq=False)
class Analysis:
    """All results of a report."""

    contests: tuple[Contest, ...]  # paper before demo, those with most configurations first
    data_set_pairs: tuple[DataSetPair, ...]
    unscored: tuple[str, ...]  # labels of configurations whose NMI is undefined at every layer
    p_values: Mapping[object, float]  # of every test of the page, by what was tested
    corrected: Mapping[object, float]  # the p-values after correction for all tests of the page
    written: Mapping[object, bool]  # which claims may be written
    parts: int  # of the page, which share its errors

    @property
    def configurations(self) -> list[Configuration]:
        """All ranked configurations, contest by contest."""
        return [config for contest in self.contests for config in contest.configurations]


def analyse(configurations: Sequence[Configuration], parts: int = 1) -> Analysis:
    """Return the results of configurations of finished runs.

    Args:
        configurations: One for each network and setting.
        parts: Of the page, which share its errors (`claims`).
    """
    scored = [config for config in configurations if config.is_scored]
    by_task = by_key(scored, lambda config: json.dumps(config.place.task, sort_keys=True))
    fields = [field for members in by_task.values() for field in _fields(members)]
    contests = [_contest(field, _what_differs(field, fields)) for field in fields]
    contests.sort(
        key=lambda one: (one.size != "paper", -len(one.configurations), -len(one.best.runs), one.data)
    )
    unscored = tuple(f"{config.label} on {config.data}" for config in configurations if not config.is_scored)
    data_set_pairs = tuple(_data_set_pairs(contests))
    p_values: dict[object, float] = {pair: pair.agreement.p for pair in data_set_pairs}
    for contest in contests:
        p_values |= {pair: pair.found.p for pair in contest.pairs} | {contest: _p(contest.association)}
        p_values |= {(config, "lead"): config.lead.p for config in contest.configurations}
        p_values |= {(config, "turns"): config.turning.p for config in contest.configurations}
        trained = {config: config.training for config in contest.configurations}
        p_values |= {(config, "training"): found.p for config, found in trained.items() if found}
    verdicts = dict(zip(p_values, judged(list(p_values.values()), parts), strict=True))
    corrected = {test: p for test, (p, _) in verdicts.items()}
    written = {test: may for test, (_, may) in verdicts.items()}
    return Analysis(tuple(contests), data_set_pairs, unscored, p_values, corrected, written, parts)


def _p(found: RankAgreement) -> float:
    """Return the p of a relation over networks, NaN where so few can show none: that is no test."""
    return math.nan if found.smallest_p > SIGNIFICANT else found.p


class _Field(NamedTuple):
    """Who takes part in a contest: see there."""

    members: list[Configuration]
    others: list[tuple[Configuration, str]]
    splits: dict[str, str]


def _fields(alike: Sequence[Configuration]) -> list[_Field]:
    """Divide configurations with one task into contests on class splits that all their members have.

    The splits of a contest are those for which the number of networks times the runs of the one with fewest is largest.
    A network that lacks some of them is not ranked, one that has more is ranked by these.
    """
    names = split_names([run for config in alike for run in config.runs])
    unfair = [(config, why) for config in alike if (why := _why_unfair(config))]
    left, found = [config for config in alike if not _why_unfair(config)], []

    def have(splits: frozenset[str]) -> list[Configuration]:
        return [config for config in left if splits <= config.splits]

    while left:
        splits = max(
            {
                one
                for config in left
                for one in (config.splits, *(frozenset({split}) for split in config.splits))
            },
            key=lambda one: (
                len(have(one)) * min(_taking_part(config, one) for config in have(one)),
                len(one),
                sorted(one),
            ),
        )
        whole, others = have(splits), list(unfair)
        for config in left:
            if config.splits < splits:
                others.append((config, f"only the unseen classes {_listed(config.splits, names)}"))
            elif config.splits > splits:
                others.append(
                    (config, f"its runs with the unseen classes {_listed(config.splits - splits, names)}")
                )
        named = dict(sorted(((key, names[key]) for key in splits), key=lambda item: item[1]))
        found.append(_Field([_restricted(config, splits) for config in whole], others, named))
        left = [config for config in left if config not in whole and not config.splits < splits]
    return found


def _taking_part(config: Configuration, splits: frozenset[str]) -> int:
    """Return how many runs count on these splits."""
    return sum(map(len, Units.of([cell for cell in config.cells if cell[0] in splits]).units))


def _listed(splits: Iterable[str], names: Mapping[str, str]) -> str:
    return " | ".join(sorted(names[key] for key in splits))


def _restricted(config: Configuration, splits: frozenset[str]) -> Configuration:
    """Return a configuration with the runs on these splits only."""
    if config.splits == splits:
        return config
    return replace(config, runs=tuple(run for run in config.runs if (run.facts.split_hash or "") in splits))


def _why_unfair(config: Configuration) -> str:
    """Return why a configuration's scores are not of unseen classes, "" where they are."""
    for run in config.runs:
        trained = run.facts.trained
        if trained and trained.data == run.facts.data and run.split:
            seen = set(trained.seen) & set(run.split.unseen)
        else:
            seen = set()
        if seen:
            return f"its network was trained on {', '.join(sorted(seen)[:5])}, which count as unseen here"
    return ""


def _what_differs(field: _Field, fields: Sequence[_Field]) -> str:
    """Return what tells a contest from the others of its data set and size, "" where it is the only one."""
    first = field.members[0]
    rivals = [one for one in fields if (one.members[0].data, one.members[0].size) == (first.data, first.size)]
    if len(rivals) == 1:
        return ""
    names = differing([one.members[0].place.task for one in rivals])
    texts = [f"{name.strip('()')}={plain(first.place.task.get(name))}" for name in names]
    if len({tuple(one.splits.values()) for one in rivals}) > 1:
        more = " | …" if len(field.splits) > _MOST_SPLITS_NAMED else ""
        texts.insert(0, f"unseen {' | '.join([*field.splits.values()][:_MOST_SPLITS_NAMED])}{more}")
    return "; ".join(texts)


def _contest(field: _Field, differs: str) -> Contest:
    named = [replace(config, contest=differs) for config in field.members]
    plain = any(config.g.plain.n < 2 for config in named)
    scores = {config: (config.g.plain if plain else config.score).mean for config in named}
    ranked = sorted(named, key=lambda config: (-scores[config], config.label))
    pairs = list(itertools.combinations(ranked, 2))
    if len(ranked) > _ALL_PAIRS_UP_TO:
        pairs = [(ranked[0], other) for other in ranked[1:]]
    networks = list(dict.fromkeys(config.model for config in ranked))

    def of_networks(values: Mapping[Configuration, float]) -> list[float]:
        """Settings of one network are no independent points: their mean is."""
        return [float(np.mean([values[one] for one in ranked if one.model == name])) for name in networks]

    accuracies = {config: config.accuracy.mean for config in ranked}
    return Contest(
        tuple(ranked), tuple(field.others), field.splits, spearman(of_networks(accuracies), of_networks(scores)),
        tuple(_pair(first, second) for first, second in pairs), differs,
    )  # fmt: skip


def _pair(first: Configuration, second: Configuration) -> Pair:
    units = shared_units((first, second))
    one, two = (config.rows_of(units.cells) for config in (first, second))
    found = difference(units.arrange(first.compared_nmi[one]), units.arrange(second.compared_nmi[two]))
    found = replace(found, g=found.g.within(*DIFFERENCE))
    per_run = first.per_run[one] - second.per_run[two]
    return Pair(first, second, units, found, components(table_of(per_run, units.cells)))


def _data_set_pairs(contests: Sequence[Contest]) -> list[DataSetPair]:
    """Compare the curves of networks between data sets; a network counts where it was trained in the same way."""
    by_network: dict[str, dict[str, Configuration]] = {}
    for contest in contests:
        for config in contest.configurations:
            network = {key: value for key, value in config.place.network.items() if key not in _OF_THE_DATA}
            by_data = by_network.setdefault(json.dumps([network, config.size], sort_keys=True), {})
            by_data.setdefault(config.data, config)
    rhos: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for by_data in by_network.values():
        for a, b in itertools.combinations(sorted(by_data.values(), key=lambda config: config.data), 2):
            of_pair = rhos.setdefault((a.data, b.data, a.size), {})
            of_pair.setdefault(a.model, []).append(spearman(*_curves(a, b)).rho)
    found = []
    for places, of_pair in rhos.items():
        means = {network: float(np.mean(values)) for network, values in of_pair.items()}
        found.append(DataSetPair(*places, means, curve_agreement(list(means.values()))))
    return found


def _curves(a: Configuration, b: Configuration) -> tuple[Floats, Floats]:
    """Return the mean NMI of two configurations at the depths of the one with fewer layers."""
    left, right = a.mean_nmi, b.mean_nmi
    if len(left) <= len(right):
        return left, np.interp(a.depths, b.depths, right)
    return np.interp(b.depths, a.depths, left), right
