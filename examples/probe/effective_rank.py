"""How many directions the embeddings of a layer use, as an example of a probe of one's own."""

import torch
from torch import Tensor


def effective_rank(features: Tensor, labels: Tensor) -> dict[str, float]:  # noqa: ARG001 - every probe gets them
    """The exponential of the entropy of the normalised singular values (Roy & Vetterli, EUSIPCO 2007, eq. 3).

    Args:
        features: One layer's embeddings, (N, D), finite.
        labels: Class indices, (N,); not used.

    Returns:
        {"effective_rank": value}, from 1 to min(N, D); 0 for features that are all equal.
    """
    centred = features.double() - features.double().mean(0)
    values = torch.linalg.svdvals(centred)  # (min(N, D),)
    if float(values.sum()) == 0:
        return {"effective_rank": 0.0}
    shares = values / values.sum()
    entropy = -torch.special.xlogy(shares, shares).sum()
    return {"effective_rank": float(entropy.exp())}
