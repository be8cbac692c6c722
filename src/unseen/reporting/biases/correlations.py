"""How each bias goes with each group of benchmarks over networks, and the biases with each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from unseen.reporting.biases.networks import Networks
from unseen.reporting.statistics.association import spearman_p
from unseen.reporting.statistics.claims import SIGNIFICANT
from unseen.reporting.statistics.rank_correlation import (
    FEWEST,
    benjamini_hochberg,
    distance_correlation,
    interval,
    partial_spearman_by_t,
    spearman_by_t,
)
from unseen.wording import listing


@dataclass(frozen=True)
class Correlation:
    """One bias and one group over the networks of one subset that have both; NaN where a number is undefined."""

    subset: str
    bias: str
    group: str
    spearman: float
    p: float  # two-sided, t approximation
    n: int  # networks
    low: float  # 95 % interval
    high: float
    p_adjusted: float  # Benjamini-Hochberg over all pairs of the subset
    significant_published: bool  # p < .05; the paper prints 0 for the others
    partial: float  # given ID accuracy; NaN for the group ID itself
    partial_p: float
    distance_correlation: float
    dcor_p: float  # by permutation
    p_permutation: float  # of spearman; the one to read where networks are few
    partial_p_adjusted: float  # Benjamini-Hochberg over all partial correlations of the subset
    dcor_p_adjusted: float  # the same over all distance correlations

    @property
    def as_published(self) -> float:
        """The number that the paper prints."""
        return round(self.spearman, 2) if self.significant_published else 0.0


@dataclass(frozen=True)
class BiasPair:
    """Two biases over the networks that have both."""

    first: str
    second: str
    spearman: float
    p: float
    n: int
    low: float
    high: float
    p_adjusted: float  # Benjamini-Hochberg over the different pairs
    significant_published: bool
    p_permutation: float


def correlate(networks: Networks, subset: str = "total") -> list[Correlation]:
    """Return the correlation of every bias with every group.

    Args:
        networks: At least four.
        subset: What these networks are called.

    Raises:
        ValueError: There are fewer than four networks.
    """
    if len(networks) < FEWEST:
        raise ValueError(
            f"a correlation over networks needs {FEWEST} of them at least, and there are {len(networks)}: "
            f"{listing(networks.names) or 'none'}"
        )
    rows = []
    for bias, of_bias in networks.biases.items():
        for group, of_group in networks.groups.items():
            both = np.isfinite(of_bias) & np.isfinite(of_group)
            x, y = of_bias[both], of_group[both]
            rho, p = spearman_by_t(x, y)
            of_pair = (subset, bias, group, rho, p, len(x), *interval(rho, len(x)), math.nan, p < SIGNIFICANT)
            more = (*given_accuracy(networks, bias, group), *distance_correlation(x, y), spearman_p(x, y))
            rows.append(Correlation(*of_pair, *more, math.nan, math.nan))
    adjusted = zip(
        benjamini_hochberg(np.array([row.p for row in rows])),
        benjamini_hochberg(np.array([row.partial_p for row in rows])),
        benjamini_hochberg(np.array([row.dcor_p for row in rows])),
        strict=True,
    )
    return [
        replace(row, p_adjusted=float(p), partial_p_adjusted=float(partial), dcor_p_adjusted=float(distance))
        for row, (p, partial, distance) in zip(rows, adjusted, strict=True)
    ]


def given_accuracy(networks: Networks, bias: str, group: str) -> tuple[float, float]:
    """Return the partial correlation of a bias and a group given the group ID, and its p; NaN for ID itself."""
    if group == "ID" or "ID" not in networks.groups:
        return math.nan, math.nan
    columns = np.stack([networks.biases[bias], networks.groups[group], networks.groups["ID"]])
    x, y, accuracy = columns[:, np.isfinite(columns).all(axis=0)]
    return partial_spearman_by_t(x, y, accuracy)


def correlate_subsets(networks: Networks) -> list[Correlation]:
    """Return the correlations of all networks, the adversarially trained and the others."""
    return [row for subset, part in networks.subsets().items() for row in correlate(part, subset)]


def correlate_biases(networks: Networks) -> list[BiasPair]:
    """Return the correlation of every bias with every bias: a full square with ones on its diagonal."""
    names = list(networks.biases)
    rows = []
    for first in names:
        for second in names:
            x, y = networks.biases[first], networks.biases[second]
            both = np.isfinite(x) & np.isfinite(y)
            n, tested = int(both.sum()), (*spearman_by_t(x[both], y[both]), spearman_p(x, y))
            rho, p, counted = (1.0, 0.0, 0.0) if first == second else tested
            rows.append(
                BiasPair(first, second, rho, p, n, *interval(rho, n), math.nan, p < SIGNIFICANT, counted)
            )
    place = {name: at for at, name in enumerate(names)}
    upper = [row for row in rows if place[row.first] < place[row.second]]
    adjusted = benjamini_hochberg(np.array([row.p for row in upper]))
    of_pair = {frozenset((row.first, row.second)): p for row, p in zip(upper, adjusted, strict=True)}
    return [
        replace(row, p_adjusted=float(of_pair.get(frozenset((row.first, row.second)), math.nan)))
        for row in rows
    ]
