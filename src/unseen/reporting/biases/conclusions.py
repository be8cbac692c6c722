"""Which published conclusions on 48 networks stay when what the paper leaves out is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.reporting.biases.correlations import Correlation, given_accuracy
from unseen.reporting.biases.networks import published_networks
from unseen.reporting.statistics.claims import SIGNIFICANT, may_be_written
from unseen.reporting.statistics.rank_correlation import benjamini_hochberg, spearman_by_t

VARIANTS = {
    "published": {"real": True, "corrected_pgd": False},
    "without ReaL": {"real": False, "corrected_pgd": False},
    "corrected PGD": {"real": True, "corrected_pgd": True},
}

_ALONE = ", by its own p alone"  # not with Benjamini-Hochberg


@dataclass(frozen=True)
class Variant:
    """A correlation in one variant of the data."""

    variant: str
    subset: str
    bias: str
    group: str
    spearman: float
    p: float
    partial: float
    partial_p: float
    p_adjusted: float  # Benjamini-Hochberg over all pairs of the subset


@dataclass(frozen=True)
class Conclusion:
    """One of the 72 printed numbers and what becomes of it; None where a question has no answer."""

    subset: str
    bias: str
    group: str
    published: float  # as printed: 0 where p >= .05
    spearman: float
    low: float
    high: float
    p: float
    p_adjusted: float
    partial: float
    partial_p_adjusted: float
    without_real: float
    without_real_p: float
    corrected_pgd: float
    corrected_pgd_p: float
    dcor_p_adjusted: float
    stays_adjusted: str  # yes or no, "" where the paper prints 0 or the question has no sense
    stays_given_id: str  # with the same sign and Benjamini-Hochberg
    stays_without_real: str
    stays_corrected_pgd: str
    may_be_written: str  # p <= .05, and <= .10 after Holm's correction for all 72
    turns: str  # what makes a printed 0 significant, or turns the sign


def variants() -> list[Variant]:
    """Return the 72 correlations as published, without ReaL, and with the floor of adversarial accuracy removed."""
    rows = []
    for name, settings in VARIANTS.items():
        for subset, networks in published_networks(**settings).subsets().items():
            pairs = [(bias, group) for bias in networks.biases for group in networks.groups]
            found = [spearman_by_t(networks.biases[bias], networks.groups[group]) for bias, group in pairs]
            adjusted = benjamini_hochberg(np.array([p for _, p in found]))
            rows += [
                Variant(name, subset, *pair, *tested, *given_accuracy(networks, *pair), float(p))
                for pair, tested, p in zip(pairs, found, adjusted, strict=True)
            ]
    return rows


def conclusions(correlations: Sequence[Correlation], changed: Sequence[Variant]) -> list[Conclusion]:
    """Return what becomes of each published number.

    Args:
        correlations: The 72 of the published networks.
        changed: All of `variants`.
    """
    in_variant = {(row.variant, row.subset, row.bias, row.group): row for row in changed}
    writable = may_be_written([row.p for row in correlations])
    rows = []
    for row, claim in zip(correlations, writable, strict=True):
        without, attacked = (
            in_variant[name, row.subset, row.bias, row.group] for name in ("without ReaL", "corrected PGD")
        )
        printed = row.significant_published
        turns = []
        if row.partial_p_adjusted < SIGNIFICANT and (not printed or row.partial * row.spearman < 0):
            turns.append("given ID accuracy" + (", with the other sign" if printed else ""))
        if not printed and without.p < SIGNIFICANT:
            turns.append("without ReaL" + ("" if without.p_adjusted < SIGNIFICANT else _ALONE))
        if not printed and attacked.p < SIGNIFICANT:
            turns.append("with corrected PGD" + ("" if attacked.p_adjusted < SIGNIFICANT else _ALONE))
        if not printed and row.dcor_p_adjusted < SIGNIFICANT:
            turns.append("by distance correlation")
        same_sign = row.partial * row.spearman > 0
        given = "" if math.isnan(row.partial) else _yes(same_sign and row.partial_p_adjusted < SIGNIFICANT)
        rows.append(
            Conclusion(
                row.subset,
                row.bias,
                row.group,
                row.as_published,
                row.spearman,
                row.low,
                row.high,
                row.p,
                row.p_adjusted,
                row.partial,
                row.partial_p_adjusted,
                without.spearman,
                without.p,
                attacked.spearman,
                attacked.p,
                row.dcor_p_adjusted,
                stays_adjusted=_yes(row.p_adjusted < SIGNIFICANT) if printed else "",
                stays_given_id=given if printed else "",
                stays_without_real=_yes(without.p < SIGNIFICANT) if printed else "",
                stays_corrected_pgd=_yes(attacked.p < SIGNIFICANT) if printed else "",
                may_be_written=_yes(claim) if printed else "",
                turns="; ".join(turns),
            )
        )  # fmt: skip
    return rows


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
