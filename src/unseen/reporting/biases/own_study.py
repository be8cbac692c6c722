"""The same correlations over one's own networks, which are few: what may be said is counted, not approximated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unseen.reporting.biases.correlations import Correlation, correlate, correlate_biases
from unseen.reporting.biases.figure_marks import OWN
from unseen.reporting.biases.networks import BIASES, Networks
from unseen.reporting.biases.own_networks import own_networks
from unseen.reporting.biases.regressions import regressions
from unseen.reporting.biases.study_folder import CorrelationStudy, write_study
from unseen.reporting.biases.study_tables import (
    bias_table,
    correlation_table,
    network_table,
    regression_table,
)
from unseen.reporting.number_texts import signed, too_few_to_rank
from unseen.reporting.statistics.association import FEWEST_TO_RANK, detectable_correlation
from unseen.reporting.statistics.claims import SIGNIFICANT, may_be_written
from unseen.reporting.statistics.rank_correlation import benjamini_hochberg
from unseen.wording import count, listing


def own_study(folders: Sequence[Path], out: Path) -> list[str]:
    """Write the study of one's own networks and return what it shows, in sentences.

    Args:
        folders: Run folders of `biases.py`, or folders that hold such at any depth.
        out: A folder, made if absent: networks.csv, correlations.csv, bias_correlations.csv, regressions.csv (none for
            few networks), figures/, summary.txt and page.html.

    Raises:
        ValueError: No finished run, or fewer than four networks; one sentence.
    """
    networks = measured(own_networks(folders))
    correlations = by_permutation(correlate(networks, OWN))
    pairs = correlate_biases(networks)
    sentences = own_words(networks, correlations)
    tables = (
        network_table(networks),
        correlation_table(correlations),
        bias_table(pairs),
        regression_table(regressions(networks, OWN)),
    )
    write_study(
        CorrelationStudy(
            "Biases and accuracy of own networks", networks, correlations, pairs, tables, sentences
        ),
        out,
    )
    return sentences


def by_permutation(rows: Sequence[Correlation]) -> list[Correlation]:
    """Return the rows with significance by the p that counts orders: of few networks the t approximation is wrong."""
    adjusted = benjamini_hochberg(np.array([row.p_permutation for row in rows]))
    return [
        replace(row, p_adjusted=float(p), significant_published=row.p_permutation < SIGNIFICANT)
        for row, p in zip(rows, adjusted, strict=True)
    ]


def measured(networks: Networks) -> Networks:
    """Return the networks without biases and groups that fewer than four of them have."""
    kept = [
        {name: values for name, values in columns.items() if np.isfinite(values).sum() >= 4}
        for columns in (networks.biases, networks.groups)
    ]
    if len(networks) >= 4 and not all(kept):
        what = "bias" if not kept[0] else "accuracy"
        raise ValueError(
            f"a correlation needs a {what} that four networks have, and of {listing(networks.names)} no four have one"
        )
    return replace(networks, biases=kept[0], groups=kept[1])


def own_words(networks: Networks, rows: Sequence[Correlation]) -> list[str]:
    """Return what the correlations over own networks show: nothing where too few were measured."""
    tested = [row for row in rows if not math.isnan(row.p_permutation)]
    n = max((row.n for row in tested), default=0)  # that have both; others miss one
    sentences = [
        f"{count(len(networks), 'network')}: {listing(networks.names)}; {count(len(tested), 'rank correlation')} "
        "between a bias and an accuracy."
    ]
    if n < FEWEST_TO_RANK:
        return [*sentences, too_few_to_rank(n)]
    writable = may_be_written([row.p_permutation for row in tested])
    claims = [
        f"{BIASES.get(row.bias, row.bias)} × {row.group} {signed(row.spearman, '+.2f')}"
        for row, claim in zip(tested, writable, strict=True)
        if claim
    ]
    detectable = detectable_correlation(n)
    return [
        *sentences,
        "By permutation with all tests counted (p ≤ .05, and ≤ .10 after Holm's correction), "
        + (
            f"{len(claims)} may be claimed if these networks are independent draws: {'; '.join(claims)}."
            if claims
            else "none may be claimed."
        ),
        f"A single test of {n} networks finds a true correlation of {detectable:.2f} in 80 % of cases, a weaker one "
        "less often: what is not found is not absent.",
        "Fine-tunes of one network, its seeds above all, and one method at several strengths are no independent draws, "
        "and their p is too small. A correlation does not say what happens to a network whose bias is changed.",
    ]  # fmt: skip
