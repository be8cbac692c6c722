"""How classes spread within and between themselves: of the seen classes, with labels.

Legend: N images, D features, C classes. Each class counts the same, however many images it has.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from unseen.probes.inputs import checked_embeddings, checked_labels, unit_scaled

_RIDGE = 1e-4  # LiDAR's delta
_EPSILON = 1e-7  # of its shares
_FLOAT32 = torch.finfo(torch.float32).eps  # embeddings are float32: smaller parts of them are rounding


def neural_collapse(embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike) -> float:
    """Neural-collapse ratio NC1, 0 or more: variation within classes relative to that between them.

    trace(S_W pinv(S_B)) / C with the covariance S_W of images about their class means and S_B of the class means about
    theirs (Papyan, Han and Donoho, PNAS 2020). 0: each class is one point. It weighs most the directions in which the
    class means differ least.

    Args:
        embeddings: (N, D).
        labels: (N,) classes.

    Returns:
        NaN for one class, and where all class means are equal.

    Raises:
        ValueError: The inputs are malformed, or not finite.

    >>> round(neural_collapse([[0.0], [2.0], [10.0], [12.0]], [0, 0, 1, 1]), 9)  # 1 within, 25 between, 2 classes
    0.02
    """
    spread = _spread(embeddings, labels)
    classes = len(spread.means)
    _, sizes, directions = torch.linalg.svd(spread.means, full_matrices=False)  # (r,), (r, D)
    kept = sizes > max(spread.means.shape) * _FLOAT32 * spread.largest
    if classes < 2 or not bool(kept.any()):
        return math.nan
    along = (spread.residuals @ directions[kept].T).square()  # (N, r)
    within = (spread.weights[:, None] * along).sum(0)  # (r,)
    return float((within / sizes[kept].square()).sum())  # S_B is sizes^2 / C


def lidar(embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike) -> float:
    """LiDAR, 1..C - 1: how many directions tell classes apart, each relative to the variation within classes.

    exp(-sum p_k ln p_k) with p_k = v_k / sum(v) + 1e-7, v the eigenvalues of S_W^(-1/2) S_B S_W^(-1/2) (Thilak et al.,
    arXiv 2312.04000). Two choices are ours. Its classes are clean images, each with augmented views of it; here they
    are the classes that are given, so no further forward pass is needed. Its authors add 1e-4 to S_W, and we 1e-4 of
    its mean variance, because layers differ in scale.

    Args:
        embeddings: (N, D).
        labels: (N,) classes.

    Returns:
        NaN for one class, and where all class means are equal.

    Raises:
        ValueError: The inputs are malformed, or not finite.
    """
    spread = _spread(embeddings, labels)
    means, width = spread.means, spread.means.shape[1]
    if len(means) < 2 or float(means.abs().max()) <= max(means.shape) * _FLOAT32 * spread.largest:
        return math.nan
    weighted = spread.weights.sqrt()[:, None] * spread.residuals  # (N, D)
    within = weighted.T @ weighted  # (D, D)
    mean_variance = float(within.trace()) / width
    within.diagonal().add_(_RIDGE * mean_variance if mean_variance else 1.0)
    values = torch.linalg.eigvalsh(means @ torch.linalg.solve(within, means.T)).clamp_min(0)  # (C,)
    shares = values / values.sum() + _EPSILON
    return float((-torch.special.xlogy(shares, shares).sum()).exp())


class _Spread(NamedTuple):
    means: Tensor  # (C, D) class means about their mean
    residuals: Tensor  # (N, D) images about their class mean
    weights: Tensor  # (N,) 1 / (C n_c), so that classes count the same
    largest: float  # distance of an image from the mean


def _spread(embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike) -> _Spread:
    features = unit_scaled(checked_embeddings(embeddings)).double()
    names, targets = checked_labels(labels, len(features), features.device)
    features = features - features.mean(0)
    sizes = targets.bincount(minlength=len(names)).double()  # (C,)
    means = (
        features.new_zeros(len(names), features.shape[1]).index_add_(0, targets, features) / sizes[:, None]
    )
    return _Spread(
        means - means.mean(0),
        features - means[targets],
        1 / (len(names) * sizes[targets]),
        float(features.norm(dim=1).max()),
    )
