"""What other captions change over the same images: differences of the measure and of the accuracy, paired by image.

Legend in `unseen.transfer.inputs`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from scipy.stats import t as student

from unseen.transfer.inputs import Floats, Integers, Matrix, class_numbers, unit_rows


@dataclass(frozen=True)
class CaptionEffect:
    """A difference between two sets of captions, as a mean over images.

    Attributes:
        value: The other set's less the first one's.
        low: Lower end of the 95 % interval over images.
        high: Upper end.
        p: Of a test that the difference is 0 over such images, as the function says.
    """

    value: float
    low: float
    high: float
    p: float


def iimm_effect(images: Matrix, labels: Matrix, first: Matrix, other: Matrix) -> CaptionEffect:
    """Return the difference in IIMM, with the interval and p of a paired t-test over images.

    Similarity among images is the same, so the difference is half that of wrong-label alignment, a mean over images.

    Args:
        images: (N, D); of one image there is neither interval nor p.
        labels: (N,) rows of the captions.
        first: (C, D) caption embeddings of the first set, C >= 2.
        other: (C, D) of the other set.

    Raises:
        ValueError: In one sentence: zero rows, NaN, or shapes that do not match.

    The wrong caption lies along one image's axis in the first set and at right angles to both images in the other.

    >>> found = iimm_effect([[1, 0, 0], [0, 1, 0]], [0, 1], [[0, 1, 0], [1, 0, 0]], [[0, 0, 1], [0, 0, 1]])
    >>> found.value, found.low, found.high
    (-0.5, -0.5, -0.5)
    """
    rows = unit_rows(images, "images")
    tables = [unit_rows(one, "texts") for one in (first, other)]
    if tables[0].shape != tables[1].shape or rows.shape[1] != tables[0].shape[1]:
        raise ValueError(
            f"captions have shapes {tables[0].shape} and {tables[1].shape}, and images {rows.shape}; all must "
            "come from one encoder and name the same classes"
        )
    numbers = class_numbers(labels, len(rows), len(tables[0]))
    before, after = (_wrong(rows, table, numbers) for table in tables)
    difference = (after - before) / 2
    value, freedom = float(difference.mean()), len(rows) - 1
    error = float(difference.std(ddof=1)) / math.sqrt(len(rows)) if freedom else math.nan
    half = float(student.ppf(0.975, freedom)) * error if freedom else math.nan
    p = 2 * float(student.sf(abs(value) / error, freedom)) if error else float(value == 0)
    return CaptionEffect(value, value - half, value + half, p)


def accuracy_effect(first: npt.ArrayLike, other: npt.ArrayLike) -> CaptionEffect:
    """Return the difference in accuracy, with a normal interval of the paired differences and an exact test.

    The test is McNemar's: of the images that one set alone names right, as many by either if there is no difference.

    Args:
        first: (N,) which images are named right with the first set.
        other: (N,) with the other one.

    Raises:
        ValueError: They are not of one length.

    >>> accuracy_effect([False] * 6 + [True] * 4, [True] * 10).p  # six of six: 2 / 2^6
    0.03125
    """
    before, after = np.asarray(first, dtype=bool), np.asarray(other, dtype=bool)
    if before.shape != after.shape or before.ndim != 1 or len(before) == 0:
        raise ValueError(
            f"decisions must be one for each image in both sets, got {before.shape} and {after.shape}"
        )
    difference = after.astype(float) - before
    won, lost = int((difference > 0).sum()), int((difference < 0).sum())
    value = float(difference.mean())
    half = (
        1.959964 * float(difference.std(ddof=1)) / math.sqrt(len(difference))
        if len(difference) > 1
        else math.nan
    )
    p = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return CaptionEffect(value, value - half, value + half, p)


def _wrong(images: Floats, texts: Floats, labels: Integers) -> Floats:
    """Return the mean cosine (N,) of each image with the captions of other classes; all rows have length 1."""
    own = np.einsum("nd,nd->n", images, texts[labels])
    alignment: Floats = (images @ texts.sum(axis=0) - own) / (len(texts) - 1)
    return alignment
