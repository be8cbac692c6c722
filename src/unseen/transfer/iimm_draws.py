"""IIMM and its parts under resampled images and under shuffled labels, from sums: no pair is taken again.

Legend in `unseen.transfer.inputs`; R draws.
"""

from __future__ import annotations

import numpy as np

from unseen.transfer.iimm import ROWS_AT_ONCE, Iimm
from unseen.transfer.inputs import Floats, Integers
from unseen.transfer.task import Task, resample, shuffle


def resampled_parts(task: Task, count: int, seed: int) -> dict[str, Floats]:
    """Return the parts that depend on images, (R,) each, of resampled images.

    An image and its copy, whose cosine is 1, count as no pair: pairs are those of different images.
    """
    assert task.texts is not None
    n, c = len(task.labels), len(task.texts)
    text = task.texts.mean(axis=0)  # (D,)
    times = np.empty((count, n))  # how often each image was drawn
    for number in range(count):
        times[number] = np.bincount(resample(task.labels, seed, number), minlength=n)
    means = times @ task.images / n  # (R, D)
    correct = times @ _own(task.images, task.texts, task.labels) / n  # (R,)
    copies = np.sum(times**2, axis=1)  # (R,) pairs of an image and itself or its copy
    inter = (c * means @ text - correct) / (c - 1)
    intra = (n**2 * np.sum(means**2, axis=1) - copies) / (n**2 - copies)
    return {
        "iimm": (inter + intra) / 2,
        "inter": inter,
        "intra": intra,
        "correct": correct,
        "gap": np.linalg.norm(means - text, axis=1),
    }


def shuffled_parts(task: Task, whole: Iimm, count: int, seed: int) -> dict[str, Floats]:
    """Return the parts that depend on labels, (R,) each, under shuffled labels.

    The mean cosine with all captions stays; that with the own caption changes.
    """
    assert task.texts is not None
    c = len(task.texts)
    shuffled = (shuffle(task.labels, seed, number) for number in range(count))
    correct = np.array([_own(task.images, task.texts, labels).mean() for labels in shuffled])  # (R,)
    inter = whole.inter + (whole.correct - correct) / (c - 1)
    return {"iimm": (inter + whole.intra) / 2, "inter": inter, "correct": correct}


def _own(images: Floats, texts: Floats, labels: Integers) -> Floats:
    """Return the cosine (N,) of each image with its own caption."""
    cosines = np.empty(len(images))
    for first in range(
        0, len(images), ROWS_AT_ONCE
    ):  # a caption for each image would be as large as the images
        some = slice(first, first + ROWS_AT_ONCE)
        cosines[some] = np.einsum("nd,nd->n", images[some], texts[labels[some]])
    return cosines
