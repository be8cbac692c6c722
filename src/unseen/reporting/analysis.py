"""What the runs show: the configurations of one data set against each other, and data sets compared."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from unseen.reporting.configuration import Configuration
from unseen.reporting.place import differing, plain, split_names
from unseen.reporting.run_files import Floats
from unseen.reporting.statistics import (
    Estimate,
    RankAgreement,
    estimate,
    holm,
    kendall,
    sign_flip_p,
    spearman,
)
from unseen.reporting.texts import digest, file_name
from unseen.reporting.units import Units

_ALL_PAIRS_UP_TO = 12  # configurations of one contest; beyond, each is compared with the best only
_MOST_SPLITS_NAMED = 3
# what differs between data sets anyway
_OF_THE_DATA = ("data.train_size", "data.num_labels", "(layers)")


@dataclass(frozen=True)
class Difference:
    """Two configurations of one contest, compared over the splits and seeds that both have."""

    first: Configuration  # the one with the larger mean
    second: Configuration
    design: Units  # of the runs that both have
    g: Estimate  # first - second, over the units
    p: float  # two-sided, corrected by Holm for all pairs of the contest; NaN where no unit is shared
    agree: int  # in how many of the shared units the first is above


@dataclass(frozen=True, eq=False)
class Contest:
    """Configurations that were measured alike: the same images, classes and probes."""

    configurations: tuple[Configuration, ...]  # ranked, largest g first
    others: tuple[tuple[Configuration, str], ...]  # measured alike, but not ranked; and why
    splits: Mapping[str, str]  # the class splits of the ranked ones: short names by their keys
    spearman: RankAgreement  # of seen-class accuracy and g over the networks
    kendall: RankAgreement
    differences: tuple[Difference, ...]  # first the one of the best two
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
    def title(self) -> str:
        """What tells it from the other contests of a page."""
        return f"{self.data}, {self.differs}" if self.differs else self.data

    @property
    def identifier(self) -> str:
        """For files and anchors."""
        parts = (self.data, self.size)
        return file_name(*parts, digest(self.differs)) if self.differs else file_name(*parts)


@dataclass(frozen=True)
class Transfer:
    """One network's mean NMI curve on two data sets, at equal normalised depths; p corrected by Holm for all rows."""

    first: Configuration
    second: Configuration
    agreement: RankAgreement  # of the two curves
    agreement_p: float
    difference: Floats  # (l,) first - second
    difference_p: float  # by sign flips over layers


@dataclass(frozen=True, eq=False)
class Analysis:
    """All results of a report."""

    contests: tuple[Contest, ...]  # paper before demo, those with most configurations first
    transfers: tuple[Transfer, ...]
    unscored: tuple[str, ...]  # labels of configurations whose NMI is undefined at every layer

    @property
    def configurations(self) -> list[Configuration]:
        """All ranked configurations, contest by contest."""
        return [config for contest in self.contests for config in contest.configurations]


def analyse(configurations: Sequence[Configuration]) -> Analysis:
    """Return the results of configurations of finished runs."""
    by_task: dict[str, list[Configuration]] = {}
    for config in configurations:
        if config.is_scored:
            by_task.setdefault(json.dumps(config.place.task, sort_keys=True), []).append(config)
    fields = [field for members in by_task.values() for field in _fields(members)]
    contests = [_contest(field, _what_differs(field, fields)) for field in fields]
    contests.sort(
        key=lambda one: (one.size != "paper", -len(one.configurations), -len(one.best.runs), one.data)
    )
    unscored = tuple(f"{config.label} on {config.data}" for config in configurations if not config.is_scored)
    return Analysis(tuple(contests), tuple(_transfers(contests)), unscored)


class _Field(NamedTuple):
    """Who takes part in a contest: see there."""

    members: list[Configuration]
    others: list[tuple[Configuration, str]]
    splits: dict[str, str]


def _fields(alike: Sequence[Configuration]) -> list[_Field]:
    """Divide configurations with one task into those that have the same class splits."""
    names = split_names([run for config in alike for run in config.runs])
    unfair = [(config, why) for config in alike if (why := _why_unfair(config))]
    by_splits: dict[frozenset[str], list[Configuration]] = {}
    for config in alike:
        if not _why_unfair(config):
            by_splits.setdefault(config.splits, []).append(config)
    whole = [splits for splits in by_splits if not any(splits < larger for larger in by_splits)]
    return [
        _Field(
            by_splits[splits],
            [*_partial(by_splits, splits, names), *unfair],
            dict(sorted(((key, names[key]) for key in splits), key=lambda item: item[1])),
        )
        for splits in whole
    ]


def _partial(
    by_splits: Mapping[frozenset[str], Sequence[Configuration]],
    splits: frozenset[str],
    names: Mapping[str, str],
) -> list[tuple[Configuration, str]]:
    return [
        (config, f"only the unseen classes {' | '.join(sorted(names[key] for key in some))}")
        for some, members in by_splits.items()
        if some < splits
        for config in members
    ]


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
    ranked = sorted(named, key=lambda config: (-config.g.of_mean.mean, config.label))
    accuracy, g = [config.accuracy.mean for config in ranked], [config.g.of_mean.mean for config in ranked]
    return Contest(
        tuple(ranked), tuple(field.others), field.splits, spearman(accuracy, g), kendall(accuracy, g),
        tuple(_differences(ranked)), differs,
    )  # fmt: skip


def _differences(ranked: Sequence[Configuration]) -> list[Difference]:
    pairs = list(itertools.combinations(ranked, 2))
    if len(ranked) > _ALL_PAIRS_UP_TO:
        pairs = [(ranked[0], other) for other in ranked[1:]]
    compared = [_paired(first, second) for first, second in pairs]
    p_values = holm([sign_flip_p(g) for _, g in compared])
    return [
        Difference(first, second, design, estimate(g), p, int((g > 0).sum()))
        for (first, second), (design, g), p in zip(pairs, compared, p_values, strict=True)
    ]


def _paired(first: Configuration, second: Configuration) -> tuple[Units, Floats]:
    """Return the splits and seeds that two configurations share, and (U,) differences of their per-run g."""
    a, b = (dict(zip(config.cells, config.per_run, strict=True)) for config in (first, second))
    cells = [cell for cell in a if cell in b and np.isfinite(a[cell] - b[cell])]
    design = Units.of(cells)
    return design, design.average(np.array([a[cell] - b[cell] for cell in cells]))


def _transfers(contests: Sequence[Contest]) -> list[Transfer]:
    """Compare the curves of each network between the data sets on which it was trained in the same way."""
    by_network: dict[str, dict[str, Configuration]] = {}
    for contest in contests:
        for config in contest.configurations:
            network = {k: v for k, v in config.place.network.items() if k not in _OF_THE_DATA}
            by_data = by_network.setdefault(json.dumps([network, config.size], sort_keys=True), {})
            by_data.setdefault(config.data, config)
    pairs = [
        (a, b)
        for by_data in by_network.values()
        for a, b in itertools.combinations(sorted(by_data.values(), key=lambda config: config.data), 2)
    ]
    curves = [_curves(a, b) for a, b in pairs]
    agreements = [spearman(left, right) for left, right in curves]
    differences = [(left - right)[np.isfinite(left - right)] for left, right in curves]
    agreement_p = holm([agreement.p for agreement in agreements])
    difference_p = holm([sign_flip_p(difference) for difference in differences])
    return [
        Transfer(a, b, agreement, rank_p, difference, flip_p)
        for (a, b), agreement, rank_p, difference, flip_p in zip(
            pairs, agreements, agreement_p, differences, difference_p, strict=True
        )
    ]


def _curves(a: Configuration, b: Configuration) -> tuple[Floats, Floats]:
    """Return the mean NMI of two configurations at the depths of the one with fewer layers."""
    left, right = a.mean_nmi, b.mean_nmi
    if len(left) <= len(right):
        return left, np.interp(a.depths, b.depths, right)
    return np.interp(b.depths, a.depths, left), right
