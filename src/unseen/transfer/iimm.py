"""The Inter-Intra Modal Measure (IIMM) of a dual encoder on a task, and its parts (Niss et al., arXiv 2407.15731).

All are means of cosines: of images and captions (inter-modal), and of images among themselves (intra-modal). Sums over
pairs of unit vectors are squares and products of their sums, so that one pass over the images is enough: O(N D) time.
Legend in `unseen.transfer.inputs`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unseen.transfer.inputs import (
    Floats,
    Integers,
    Matrix,
    Reals,
    as_matrix,
    class_numbers,
    not_finite,
    unit_rows,
    zero_row,
)

ROWS_AT_ONCE = 512  # of float64: they stay in the processor's cache


@dataclass(frozen=True)
class Iimm:
    """What the cosines of a task's images x_i and class captions t_c say; all but `gap` in [-1, 1].

    Attributes:
        inter: Wrong-label alignment: mean of x_i · t_c over images i and classes c other than the image's.
        intra: Mean of x_i · x_j over pairs of images.
        correct: Correct-label alignment: mean of x_i · t_{y_i} over images.
        inter_by_class: As `inter`, but the mean over images is taken first, for each caption; it differs from `inter`
            only where classes differ in size.
        inter_text: Mean of t_c · t_d over pairs of classes.
        gap: Modality gap: distance of the mean image and the mean caption, 0..2 (Liang et al., arXiv 2203.02053).
    """

    inter: float
    intra: float
    correct: float
    inter_by_class: float
    inter_text: float
    gap: float

    @property
    def iimm(self) -> float:
        """The measure: mean of `inter` and `intra`; the larger, the more fine-tuning gains and forgets."""
        return self.weighted(0.5)

    def weighted(self, w: float) -> float:
        """Return the measure with another weight: w · intra + (1 - w) · inter."""
        return w * self.intra + (1 - w) * self.inter


def iimm(images: Matrix, texts: Matrix, labels: Matrix) -> Iimm:
    """Return the Inter-Intra Modal Measure of a task and its parts.

    Rows may have any length; they are divided by it here, some at a time, and the input stays as it is. Sums are taken
    in float64.

    Args:
        images: (N, D) image embeddings, N >= 2.
        texts: (C, D) caption embeddings, one for each class, C >= 2; a class may have no images.
        labels: (N,) integers 0..C-1, the images' rows of `texts`.

    Raises:
        ValueError: In one sentence: one image or one class, other D of images and texts, a zero row, NaN or infinity,
            or a label outside 0..C-1.

    Of four images, two along each of two captions at right angles: every wrong caption has the cosine 0, and two of the
    six pairs of images have the cosine 1.

    >>> found = iimm([[1, 0], [2, 0], [0, 1], [0, 3]], [[1, 0], [0, 1]], [0, 0, 1, 1])
    >>> found.inter, round(found.intra, 6), round(found.iimm, 6), found.correct
    (0.0, 0.333333, 0.166667, 1.0)
    """
    rows, captions, numbers = _checked(images, texts, labels)
    total = np.zeros(captions.shape[1])  # (D,) sum of unit image vectors
    own = np.empty(len(rows))  # (N,) cosines with the image's own caption
    for first in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        block, scale = _scaled(rows[part], first)
        total += scale @ block
        own[part] = np.einsum("nd,nd->n", block, captions[numbers[part]]) * scale
    n, c = len(rows), len(captions)
    mean, mean_text = total / n, captions.mean(axis=0)  # (D,)
    sizes = np.bincount(numbers, minlength=c)  # (C,)
    # for each caption: the sum over all images less that over its own
    others = captions @ total - np.bincount(numbers, weights=own, minlength=c)  # (C,)
    wrong = sizes < n  # a caption that all images have is wrong for none
    return Iimm(
        inter=float(c * mean @ mean_text - own.mean()) / (c - 1),
        intra=_mean_cosine(mean, n),
        correct=float(own.mean()),
        inter_by_class=float((others[wrong] / (n - sizes[wrong])).mean()),
        inter_text=_mean_cosine(mean_text, c),
        gap=float(np.linalg.norm(mean - mean_text)),
    )


def _mean_cosine(mean: Floats, n: int) -> float:
    """Return the mean cosine over pairs of n unit vectors whose mean (D,) is given."""
    return float(n * mean @ mean - 1) / (n - 1)


def _checked(images: Matrix, texts: Matrix, labels: Matrix) -> tuple[Reals, Floats, Integers]:
    """Return images (N, D) as they are, unit captions (C, D) and labels (N,), or raise what `iimm` raises of shapes."""
    rows, captions = as_matrix(images, "images"), unit_rows(texts, "texts")
    if rows.shape[1] != captions.shape[1]:
        raise ValueError(
            f"images have {rows.shape[1]} dimensions and texts {captions.shape[1]}; both must come from one encoder"
        )
    if len(captions) < 2:
        raise ValueError("texts has one class only; a wrong caption needs two classes at least")
    if len(rows) < 2:
        raise ValueError("there is one image only; pairs of images need two at least")
    return rows, captions, class_numbers(labels, len(rows), len(captions))


def _scaled(block: Reals, first: int) -> tuple[Floats, Floats]:
    """Return rows (B, D) in float64 and what makes their length 1 (B,); `first` is the number of the first one."""
    rows = block.astype(np.float64)
    squares = np.einsum("bd,bd->b", rows, rows)
    if squares.min() > 1e-200 and squares.max() < 1e200:  # neither overflow, nor underflow, nor NaN
        return rows, 1 / np.sqrt(squares)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ValueError(not_finite("images", first + int(finite.argmin())))
    nonzero = rows.any(axis=1)
    if not nonzero.all():
        raise ValueError(zero_row("images", first + int(nonzero.argmin())))
    return unit_rows(rows, "images"), np.ones(len(rows))
