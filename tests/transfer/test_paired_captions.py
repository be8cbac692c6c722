"""Differences between sets of captions, paired by image: the measure itself, scipy, statsmodels, the null."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel
from statsmodels.stats.contingency_tables import mcnemar
from tests.transfer.conftest import ReferenceTask

from unseen.transfer import iimm
from unseen.transfer.paired_captions import accuracy_effect, iimm_effect


def test_the_difference_is_that_of_the_measure(small: ReferenceTask) -> None:
    rng = np.random.default_rng(0)
    other = 3 * small.texts + rng.normal(size=small.texts.shape)
    found = iimm_effect(7 * small.images, small.labels, small.texts, other)
    before, after = (iimm(small.images, texts, small.labels).iimm for texts in (small.texts, other))
    assert found.value == pytest.approx(after - before, abs=1e-12)
    back = iimm_effect(small.images, small.labels, other, small.texts)
    assert (back.value, back.low) == pytest.approx((-found.value, -found.high))


def test_interval_and_p_are_of_a_paired_t_test(small: ReferenceTask) -> None:
    """Halves of the wrong-label alignment of each image: iimm of two equal images has it as `inter`."""
    other = np.roll(small.texts, 1, axis=1)
    halves = [
        [
            iimm([row, row], texts, [label, label]).inter / 2
            for row, label in zip(small.images, small.labels, strict=True)
        ]
        for texts in (other, small.texts)
    ]
    oracle = ttest_rel(*halves)
    found = iimm_effect(small.images, small.labels, small.texts, other)
    assert found.p == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)))


def test_the_same_captions_make_no_difference(small: ReferenceTask) -> None:
    found = iimm_effect(small.images, small.labels, small.texts, small.texts)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert accuracy_effect([True, False], [True, False]).p == 1


def test_mcnemar_against_statsmodels() -> None:
    rng = np.random.default_rng(1)
    first, other = rng.random(60) < 0.5, rng.random(60) < 0.6
    table = [[int((a & b).sum()) for b in (other, ~other)] for a in (first, ~first)]
    found = accuracy_effect(first, other)
    assert found.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert found.value == pytest.approx(other.mean() - first.mean())
    assert found.low < found.value < found.high


def test_without_a_difference_a_claim_is_as_rare_as_its_level() -> None:
    """Captions of two sets change places image by image, so that neither is above: .05 ± four standard errors."""
    rng = np.random.default_rng(2)
    p_iimm, p_accuracy = [], []
    for _ in range(800):
        signs = rng.choice([-1.0, 1.0], size=(60, 1))
        # the first two axes are those of the sets' wrong captions
        images = np.hstack([signs, -signs, rng.normal(size=(60, 2))]) * rng.exponential(size=(60, 1))
        images[:, 2:] += 1
        texts = np.zeros((2, 2, 4))
        texts[0, :, 0] = texts[1, :, 1] = 1
        p_iimm.append(iimm_effect(images, np.zeros(60, dtype=int), texts[0], texts[1]).p)
        won = rng.random(60) < 0.5
        p_accuracy.append(accuracy_effect(won, ~won).p)
    assert np.mean(np.array(p_iimm) <= 0.05) == pytest.approx(0.05, abs=0.031)
    assert (
        np.mean(np.array(p_accuracy) <= 0.05) <= 0.05 + 0.031
    )  # an exact test of whole numbers is below its level


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"other": np.eye(3)[:2]}, "captions have shapes (3, 3) and (2, 3), and images (2, 3)"),
        ({"images": np.eye(4)[:2]}, "images (2, 4); all must come from one encoder"),
        ({"first": 0 * np.eye(3)}, "row 0 of texts is all zeros"),
        ({"labels": [0, 3]}, "label 3 has no class"),
        ({"images": [[1, np.nan, 0], [0, 1, 0]]}, "row 0 of images has NaN or infinity"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    given = {"images": np.eye(3)[:2], "labels": [0, 1], "first": np.eye(3), "other": np.eye(3) + 1} | change
    with pytest.raises(ValueError, match=re.escape(message)):
        iimm_effect(**given)
    with pytest.raises(ValueError, match="one for each image in both sets"):
        accuracy_effect([True], [True, False])
