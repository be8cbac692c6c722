"""On a surface of how many dimensions the embeddings of a layer lie: no label needed."""

from __future__ import annotations

import math

import numpy.typing as npt
import torch
from torch import Tensor

from unseen.probes.inputs import checked_embeddings, unit_scaled

_DISCARDED = 0.1  # of the largest ratios, as the authors do
_SAME = 1e-6  # of the largest distance from the mean: embeddings are float32


def two_nn(embeddings: Tensor | npt.ArrayLike) -> float:
    """Intrinsic dimension by the ratio of the distances to an image's two nearest others.

    With mu_i = r_2 / r_1 and the empirical distribution F of the mu, the slope through the origin of -ln(1 - F) over
    ln(mu), the largest tenth left out (Facco et al., Scientific Reports 2017, TWO-NN). It takes distances of all pairs.

    Args:
        embeddings: (N, D). Of equal images one counts.

    Returns:
        NaN with fewer than three images that differ, and where all ratios are one (a grid).

    Raises:
        ValueError: They are malformed, or not finite.
    """
    features = unit_scaled(checked_embeddings(embeddings)).double()
    features = features - features.mean(0)
    distances = torch.cdist(features, features)  # (N, N)
    equal = distances <= _SAME * features.norm(dim=1).max()
    first = ~equal.tril(-1).any(1)  # (N,) no earlier one is equal
    if int(first.sum()) < 3:
        return math.nan
    distances = distances[first][:, first].fill_diagonal_(math.inf)
    nearest = distances.topk(2, largest=False).values  # (N, 2), the nearer first
    ratios = (nearest[:, 1] / nearest[:, 0]).log().sort().values  # (n,)
    places = torch.arange(1, len(ratios) + 1, dtype=torch.float64, device=ratios.device)
    kept = int((1 - _DISCARDED) * len(ratios))  # never the last, whose share is 1
    ratios, heights = ratios[:kept], -torch.log1p(-places[:kept] / len(ratios))
    squares = float(ratios.square().sum())
    return float(ratios @ heights) / squares if squares else math.nan
