"""Holm's correction and the rule of a page: hand-worked cases and statsmodels."""

import math

import numpy as np
import pytest

from unseen.reporting.statistics.claims import holm, judged, may_be_written


def test_holm_by_hand() -> None:
    # ascending .01, .02, .03, .04 times 4, 3, 2, 1 = .04, .06, .06, .04; never below an earlier one
    assert holm([0.04, 0.01, 0.03, 0.02]) == [pytest.approx(value) for value in (0.06, 0.04, 0.06, 0.06)]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    corrected = holm([math.nan, 0.02, 0.5])
    assert math.isnan(corrected[0])
    assert corrected[1:] == [0.04, 0.5]
    assert holm([]) == []


def test_holm_is_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).uniform(size=12) ** 3
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


def test_a_claim_needs_both() -> None:
    assert may_be_written([0.05]) == [True]
    assert may_be_written([0.06]) == [False]  # .06 is below .10, but not its own .05
    assert may_be_written([0.01] + [0.9] * 9) == [True] + [False] * 9  # 10 · .01 = .10
    assert may_be_written([0.011] + [0.9] * 9) == [False] * 10
    assert may_be_written([0.001, 0.04, 0.045]) == [True, True, True]  # Holm: .003, .08, .08
    assert may_be_written([math.nan, 0.04]) == [False, True]
    assert may_be_written([]) == []


def test_parts_of_a_page_share_its_errors() -> None:
    # of two parts each has .05: .02 in three tests is .06 by Holm, and .12 for the page
    assert judged([0.02, 0.5, 0.6], families=2)[0] == (pytest.approx(0.12), False)
    assert judged([0.02, 0.5, 0.6])[0] == (pytest.approx(0.06), True)
    assert judged([0.016, 0.5, 0.6], families=2)[0] == (pytest.approx(0.096), True)
    (p, written), _ = judged([math.nan, 0.7], families=3)
    assert (math.isnan(p), written) == (True, False)
    assert judged([0.7], families=3) == [(1.0, False)]
