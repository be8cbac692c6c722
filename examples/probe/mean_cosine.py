"""How alike the directions of a layer's embeddings are, as an example of a probe of one's own."""

import math

from torch import Tensor
from torch.nn.functional import normalize


def mean_cosine(features: Tensor, labels: Tensor) -> dict[str, float]:  # noqa: ARG001 - every probe gets them
    """Mean cosine similarity of two images (anisotropy; Ethayarajh, arXiv 1909.00512, section 4.1).

    Args:
        features: One layer's embeddings, (N, D), finite.
        labels: Class indices, (N,); not used.

    Returns:
        {"mean_cosine": value}, from -1/(N - 1), or 0 with features that are zero, to 1; NaN for one image.
    """
    images = len(features)
    if images < 2:
        return {"mean_cosine": math.nan}
    unit = normalize(features.double())  # (N, D)
    # the sum over all pairs is |sum|^2; those of an image with itself are left out
    pairs = unit.sum(0).square().sum() - unit.square().sum()
    return {"mean_cosine": float(pairs) / (images * (images - 1))}
