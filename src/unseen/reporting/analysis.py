"""What the runs show: the configurations of one data set against each other, and data sets compared."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.reporting.configuration import Configuration
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

_ALL_PAIRS_UP_TO = 12  # configurations of one data set; beyond, each is compared with the best only


@dataclass(frozen=True)
class Difference:
    """Two configurations of one data set, compared over the seeds that both have."""

    first: Configuration  # the one with the larger mean
    second: Configuration
    g: Estimate  # first - second of the per-run g
    p: float  # two-sided, by sign flips, corrected by Holm for all pairs of the data set; NaN where n is 0
    agree: int  # in how many of the shared seeds the first is above


@dataclass(frozen=True, eq=False)
class Comparison:
    """The configurations of one data set and size."""

    configurations: tuple[Configuration, ...]  # largest g first
    spearman: RankAgreement  # of seen-class accuracy and g over the configurations
    kendall: RankAgreement
    differences: tuple[Difference, ...]  # first the one of the best two

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

    comparisons: tuple[Comparison, ...]  # paper before demo, those with most configurations first
    transfers: tuple[Transfer, ...]
    unscored: tuple[str, ...]  # labels of configurations whose NMI is undefined at every layer

    @property
    def configurations(self) -> list[Configuration]:
        """All configurations with a g, comparison by comparison."""
        return [config for comparison in self.comparisons for config in comparison.configurations]


def analyse(configurations: Sequence[Configuration]) -> Analysis:
    """Return the results of configurations of finished runs."""
    scored = [config for config in configurations if config.is_scored]
    by_place: dict[tuple[str, str], list[Configuration]] = {}
    for config in scored:
        by_place.setdefault((config.data, config.size), []).append(config)
    comparisons = [compare(members) for members in by_place.values()]
    comparisons.sort(key=lambda each: (each.size != "paper", -len(each.configurations), each.data))
    unscored = tuple(f"{config.label} on {config.data}" for config in configurations if not config.is_scored)
    return Analysis(tuple(comparisons), tuple(_transfers(scored)), unscored)


def compare(members: Sequence[Configuration]) -> Comparison:
    """Return how the configurations of one data set and size compare."""
    ranked = sorted(members, key=lambda config: (-config.g.of_mean.mean, config.label))
    accuracy, g = [config.accuracy.mean for config in ranked], [config.g.of_mean.mean for config in ranked]
    differences = tuple(_differences(ranked))
    return Comparison(tuple(ranked), spearman(accuracy, g), kendall(accuracy, g), differences)


def _differences(ranked: Sequence[Configuration]) -> list[Difference]:
    pairs = list(itertools.combinations(ranked, 2))
    if len(ranked) > _ALL_PAIRS_UP_TO:
        pairs = [(ranked[0], other) for other in ranked[1:]]
    per_seed = {config: dict(zip(config.seeds, config.g.per_run.tolist(), strict=True)) for config in ranked}
    by_seed = []
    for first, second in pairs:
        a, b = per_seed[first], per_seed[second]
        by_seed.append(np.array([a[seed] - b[seed] for seed in a if seed in b]))
    p_values = holm([sign_flip_p(g) for g in by_seed])
    return [
        Difference(first, second, estimate(g), p, int((g > 0).sum()))
        for (first, second), g, p in zip(pairs, by_seed, p_values, strict=True)
    ]


def _transfers(configurations: Sequence[Configuration]) -> list[Transfer]:
    """Compare the curves of each network between the data sets on which it was run in the same variant."""
    by_network: dict[tuple[str, str, str], dict[str, Configuration]] = {}
    for config in configurations:
        by_data = by_network.setdefault((config.label, config.size, config.runs[0].facts.entry), {})
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
