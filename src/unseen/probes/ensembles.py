"""Several layers as one: their embeddings side by side, after LEVI (arXiv 2402.04644), which trains on several layers.

Legend: N images, D features, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt
import torch
from torch import Tensor

from unseen.probes.inputs import checked_embeddings

_CONSTANT = (
    1e-5  # a spread below this share of a layer's size is rounding, as of a class token before any block
)


def ensemble_embeddings(layers: Sequence[Tensor | npt.ArrayLike]) -> Tensor:
    """Embeddings of several layers side by side, each with the same weight: (N, D_1 + ... + D_L), float32.

    Each layer is centred on the mean of the images and divided by one number, the root of its total variance. Squared
    distances are then the sum over layers of squared distances in units of the layer's variance, and one layer alone
    has the distances that it had, up to scale: k-means gives the same clusters. Where all images are equal a layer adds
    nothing.

    Args:
        layers: Features (N, D_l) of the same images.

    Raises:
        ValueError: There is no layer, they are malformed or not finite, or of different numbers of images.

    >>> ensemble_embeddings([[[0.0], [2.0]], [[5.0, 5.0], [5.0, 5.0]]]).tolist()
    [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    checked = [checked_embeddings(layer) for layer in layers]
    if len({len(layer) for layer in checked}) != 1:
        raise ValueError(
            f"layers must be of the same images, one layer at least, got {[len(layer) for layer in checked]} rows"
        )
    return torch.cat([_scaled(layer) for layer in checked], 1)


def _scaled(layer: Tensor) -> Tensor:
    exact = layer.double()
    centred = exact - exact.mean(0)
    spread = centred.square().sum(1).mean().sqrt()
    if float(spread) <= _CONSTANT * float(exact.square().sum(1).mean().sqrt()):
        return torch.zeros_like(centred, dtype=torch.float32)
    return (centred / spread).float()
