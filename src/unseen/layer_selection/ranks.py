"""How many directions the embeddings of a layer use: no label needed.

A layer of more features can use more directions, and min(N, D) bounds all of them.
"""

from __future__ import annotations

import numpy.typing as npt
import torch
from torch import Tensor

from unseen.probes.inputs import checked_embeddings, unit_scaled

_EPSILON = 1e-7  # RankMe's, for float32


def rankme(embeddings: Tensor | npt.ArrayLike) -> float:
    """RankMe, 1..min(N, D): the exponential of the entropy of the normalised singular values; 0 for zeros.

    exp(-sum p_k ln p_k) with p_k = s_k / sum(s) + 1e-7, s the singular values of the embeddings as they are, not
    centred (Garrido et al., arXiv 2210.02885, equation 1). Its authors compare runs of one method by it.

    Args:
        embeddings: (N, D).

    Raises:
        ValueError: They are malformed, or not finite.

    >>> round(rankme([[2.0, 0.0], [0.0, 2.0]]), 4), round(rankme([[1.0, 1.0], [3.0, 3.0]]), 4)
    (2.0, 1.0)
    """
    values = torch.linalg.svdvals(_scaled(embeddings))
    return _exp_entropy(values, _EPSILON)


def effective_rank(embeddings: Tensor | npt.ArrayLike) -> float:
    """Effective rank of the covariance, 1..min(N - 1, D); 0 where all images are equal.

    exp(-sum p_k ln p_k) with p_k = v_k / sum(v), v the eigenvalues of the covariance (Roy and Vetterli, EUSIPCO 2007,
    section 2, of the covariance matrix). RankMe differs in what it takes: singular values, and no mean away.

    Args:
        embeddings: (N, D).

    Raises:
        ValueError: They are malformed, or not finite.
    """
    return _exp_entropy(_variances(embeddings), 0.0)


def participation_ratio(embeddings: Tensor | npt.ArrayLike) -> float:
    """Participation ratio of the covariance, 1..min(N - 1, D); 0 where all images are equal.

    sum(v)^2 / sum(v^2), v the eigenvalues of the covariance (Gao et al., bioRxiv 214262, 2017): d where d directions
    have the same variance and the others none.

    Args:
        embeddings: (N, D).

    Raises:
        ValueError: They are malformed, or not finite.
    """
    values = _variances(embeddings)
    squares = float(values.square().sum())
    return float(values.sum()) ** 2 / squares if squares else 0.0


def _scaled(embeddings: Tensor | npt.ArrayLike) -> Tensor:
    return unit_scaled(checked_embeddings(embeddings)).double()


def _variances(embeddings: Tensor | npt.ArrayLike) -> Tensor:
    """Return the eigenvalues of the covariance that can differ from zero, up to a factor: (min(N, D),)."""
    features = _scaled(embeddings)
    centred = features - features.mean(0)
    if not bool((features != features[0]).any()):  # the mean of equal numbers may be rounded
        return centred.new_zeros(min(centred.shape))
    values: Tensor = torch.linalg.svdvals(centred)
    return values.square()


def _exp_entropy(values: Tensor, epsilon: float) -> float:
    total = float(values.sum())
    if total == 0:
        return 0.0
    shares = values / total + epsilon
    return float((-torch.special.xlogy(shares, shares).sum()).exp())
