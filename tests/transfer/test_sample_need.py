"""Measures on subsets of a task's images: by hand, by the theory of sampling, and where there is none."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.transfer.conftest import ReferenceTask, reference_task

from unseen.transfer import SampleNeed, gbc, iimm, sample_need


def of(rows: list[SampleNeed], measure: str) -> dict[float, SampleNeed]:
    """The rows of a measure by share."""
    return {row.share: row for row in rows if row.measure == measure}


def test_all_images_are_the_value_itself(small: ReferenceTask) -> None:
    rows = sample_need(small.images, small.labels, texts=small.texts, names=["iimm", "gbc"], shares=[1])
    assert [row.measure for row in rows] == ["iimm", "gbc"]
    for row, value in zip(
        rows,
        (iimm(small.images, small.texts, small.labels).iimm, gbc(small.images, small.labels)),
        strict=True,
    ):
        assert row.mean == pytest.approx(value)
        assert (row.images, row.deviation, row.draws, row.reason) == (301, 0, 1, "")
        assert math.isnan(row.sd)


def test_pairs_of_four_images_by_hand() -> None:
    """Two images along each caption: of six pairs two have the cosine 1, and every wrong caption has the cosine 0."""
    rows = sample_need([[1, 0], [2, 0], [0, 1], [0, 3]], [0, 0, 1, 1], texts=np.eye(2), names=["iimm", "intra"],
                       shares=[0.5], draws=1000)  # fmt: skip
    intra = of(rows, "intra")[0.5]
    assert intra.images == 2
    # a pair: 1 with the chance 1 / 3, else 0; 0.06 are four standard errors of the mean of 1,000
    assert intra.mean == pytest.approx(1 / 3, abs=0.06)
    assert intra.sd == pytest.approx(math.sqrt(2) / 3, abs=0.03)
    assert of(rows, "iimm")[0.5].mean == pytest.approx(intra.mean / 2)
    assert intra.deviation == pytest.approx(intra.mean - 1 / 3)


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_means_are_without_bias_and_spread_as_in_sampling_theory(share: float) -> None:
    """A mean of n of N values without replacement has the variance S² / n · (1 - n / N) (Cochran 1977, 2.3)."""
    task = reference_task("set0")  # 500 images
    rows = sample_need(task.images, task.labels, texts=task.texts, names=["iimm", "inter", "intra", "correct"],
                       shares=[share], draws=2000)  # fmt: skip
    own = np.einsum("nd,nd->n", task.images, task.texts[task.labels])
    correct = of(rows, "correct")[share]
    n = round(share * 500)
    assert correct.sd == pytest.approx(own.std(ddof=1) * math.sqrt((1 - share) / n), rel=0.07)
    for row in rows:
        assert abs(row.deviation) < 4.5 * row.sd / math.sqrt(2000), row.measure


def test_a_class_without_an_image_leaves_scores_of_classes_without_a_value(small: ReferenceTask) -> None:
    rows = sample_need(small.images, small.labels, texts=small.texts, names=["iimm", "h_score", "ncti"],
                       shares=[1e-9, 0.01, 0.5], draws=4)  # fmt: skip
    least = of(rows, "iimm")[1e-9]
    assert (least.images, least.reason) == (1, "in 4 of 4 draws: one image makes no pair")
    assert math.isnan(least.mean)
    few = of(rows, "h_score")
    assert re.fullmatch(r"in \d of 4 draws: 3 images of 3 classes, and none of class \d", few[0.01].reason)
    assert math.isnan(few[0.01].mean)
    assert math.isnan(few[0.01].sd)
    assert few[0.5].reason == ""
    assert few[0.5].sd > 0
    assert of(rows, "iimm")[0.01].reason == ""
    assert "needs 64 images and dimensions" in of(rows, "ncti")[0.5].reason


def test_the_same_seed_gives_the_same_and_nothing_is_changed(small: ReferenceTask) -> None:
    given: dict[str, Any] = {
        "texts": small.texts,
        "names": ["iimm", "gbc"],
        "shares": (0.5, 0.2, 0.5),
        "draws": 3,
    }
    copies = [one.copy() for one in (small.images, small.texts, small.labels)]
    first, again, other = (sample_need(small.images, small.labels, seed=seed, **given) for seed in (0, 0, 1))
    assert [replace(row, seconds=0) for row in first] == [replace(row, seconds=0) for row in again]
    assert [row.share for row in first] == [0.2, 0.2, 0.5, 0.5]
    assert all(one.mean != two.mean for one, two in zip(first, other, strict=True))
    for one, copy in zip((small.images, small.texts, small.labels), copies, strict=True):
        np.testing.assert_array_equal(one, copy)


def test_measures_without_images_are_left_out(small: ReferenceTask) -> None:
    rows = sample_need(small.images, small.labels, texts=small.texts, shares=[1], draws=2)
    names = [row.measure for row in rows]
    assert {"iimm", "intra", "gbc", "silhouette"} < set(names)
    assert not {"inter_text", "leep", "emms"} & set(names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": [0]}, "shares must be numbers above 0 and at most 1, got [0]"),
        ({"shares": [0.5, 1.5, float("nan")]}, "at most 1, got [1.5, nan]"),
        ({"shares": []}, "at most 1, got none"),
        ({"draws": 1}, "draws of subsets must be 2 or more, got 1"),
        ({"labels": [0, 0, 0]}, "all images are of class 0"),
        ({"names": ["iimm"]}, "iimm needs image and text features, which were not given"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        sample_need(**({"images": np.eye(3), "labels": [0, 1, 1]} | change))
