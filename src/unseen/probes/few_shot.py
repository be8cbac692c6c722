"""Accuracy of a classifier that knows a few images of each class: the nearest class mean.

Legend: N images, D features, C classes, K support images of a class, R draws of them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unseen.probes.inputs import LabelWarning, checked_embeddings, checked_labels, unit_scaled
from unseen.probes.threads import one_thread

DRAWS = 100
_DRAWS_AT_ONCE = 10


def few_shot_accuracy(
    embeddings: Tensor | npt.ArrayLike,
    labels: Tensor | npt.ArrayLike,
    shots: Sequence[int],
    *,
    seed: int = 42,
) -> dict[int, float]:
    """Accuracy, 0..1, of the nearest class mean by each number of labelled images a class.

    A class is the mean of the embeddings of its K support images, and an image gets the class of the nearest mean by
    Euclidean distance (prototypes without training, Snell et al. 2017, equations 1 and 2). It is the mean over 100
    draws of the support images, each tested on all others. The draws depend on labels and seed alone, so layers and
    networks have the same ones, and those of fewer images are the first of those of more.

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        shots: Numbers K of support images, each at least 1.
        seed: Of the draws; 0 is a seed.

    Returns:
        {K: accuracy}. NaN for a single class; NaN with a warning where a class has no more than K images.

    Raises:
        ValueError: The inputs are malformed, not finite, or a K is below 1.
    """
    features = unit_scaled(checked_embeddings(embeddings)).double()
    names, targets = checked_labels(labels, len(features), features.device)
    if wrong := [one for one in shots if one < 1]:
        raise ValueError(f"shots must be at least 1, got {wrong[0]}")
    smallest = int(targets.bincount().min())
    usable = [one for one in shots if one < smallest and len(names) > 1]
    if len(names) > 1 and len(usable) < len(shots):
        warnings.warn(
            f"few-shot accuracy is undefined for {max(shots)} images a class: the smallest class has {smallest}, and "
            "one must be left to test",
            LabelWarning,
            stacklevel=2,
        )
    found = dict.fromkeys(shots, math.nan)
    if usable:
        features = features - features.mean(0)  # distances stay, and smaller numbers round less
        support = _drawn(targets, max(usable), seed)  # (R, C, K)
        with one_thread(features.device):
            found |= {one: _accuracy(features, targets, support[..., :one]) for one in usable}
    return found


def few_shot_scores(
    features: Tensor, labels: Tensor | npt.ArrayLike, *, few_shot: Sequence[int], seed: int
) -> dict[str, float]:
    """`few_shot_accuracy` as scores by name; none where no number of images is asked for."""
    found = few_shot_accuracy(features, labels, few_shot, seed=seed) if few_shot else {}
    return {f"few_shot_{shots}": accuracy for shots, accuracy in found.items()}


def _drawn(targets: Tensor, shots: int, seed: int) -> Tensor:
    """Return the support images of each draw and class, (R, C, K), where the targets (N,) are."""
    rng, classes = np.random.default_rng(seed), targets.cpu().numpy()
    of_class = [np.flatnonzero(classes == name) for name in range(int(classes.max()) + 1)]
    drawn = [[rng.permutation(images)[:shots] for images in of_class] for _ in range(DRAWS)]
    return torch.from_numpy(np.array(drawn)).to(targets.device)


def _accuracy(features: Tensor, targets: Tensor, support: Tensor) -> float:
    """Return the share of right answers on the images that are not support (R, C, K), the mean over draws."""
    right = 0
    for drawn in torch.split(support, _DRAWS_AT_ONCE):  # (r, C, K)
        means = features[drawn].mean(2)  # (r, C, D)
        closeness = means @ features.T - means.square().sum(-1, keepdim=True) / 2  # (r, C, N)
        correct = closeness.argmax(1) == targets  # (r, N)
        correct.scatter_(1, drawn.flatten(1), False)
        right += int(correct.sum())
    return right / (len(support) * (len(targets) - support[0].numel()))
