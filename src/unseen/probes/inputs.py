"""What every probe accepts: embeddings (N, D) and labels (N,), checked once and in one way.

Shape legend of this folder: N samples, D features, C classes, K neighbours, B rows of a block.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Float32Array: TypeAlias = npt.NDArray[np.float32]
Float64Array: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]


class ProbeWarning(UserWarning):
    """A probe met data that it can only answer with NaN, zero or a reservation."""


def checked_embeddings(embeddings: torch.Tensor | npt.ArrayLike) -> FloatArray:
    """Return embeddings (N, D) as a float32 or float64 array in host memory; the input stays untouched.

    Half precision, bfloat16 and small integers become float32, which holds them exactly.

    Raises:
        ValueError: If the shape is not (N, D) with N, D >= 1, the values are not real numbers, or any is
            NaN or infinite.
    """
    if isinstance(embeddings, torch.Tensor):
        tensor = embeddings.detach().cpu()
        if tensor.dtype == torch.bfloat16:  # numpy has none
            tensor = tensor.float()
        array = tensor.numpy()
    else:
        array = np.asarray(embeddings)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"embeddings must have shape (N, D) with N, D >= 1, got {tuple(array.shape)}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"embeddings must be real numbers, got dtype {array.dtype}")
    array = array.astype(np.result_type(array.dtype, np.float32), copy=False)  # (N, D)
    bad = ~np.isfinite(array).all(axis=1)  # (N,)
    if bad.any():
        raise ValueError(
            f"embeddings contain NaN or infinity ({int(bad.sum())} of {len(array)} rows): the network has "
            "probably diverged; lower the learning rate or use a wider number format"
        )
    return array


def checked_labels(
    labels: torch.Tensor | npt.ArrayLike, num_samples: int
) -> tuple[npt.NDArray[Any], IntArray]:
    """Return the C sorted distinct labels and, for each sample, the index 0..C-1 of its own (N,).

    Any integers will do: 80..99 and negative ones are relabelled.

    Raises:
        ValueError: If the labels are not N integers.
    """
    array = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
    if array.shape != (num_samples,):
        raise ValueError(
            f"labels must have shape ({num_samples},) like the embeddings, got {tuple(array.shape)}"
        )
    if array.dtype.kind not in "biu":
        raise ValueError(f"labels must be integers, got dtype {array.dtype}")
    names, targets = np.unique(array, return_inverse=True)  # (C,), (N,)
    return names, targets.astype(np.int64, copy=False)


def unit_scaled(features: FloatArray) -> FloatArray:
    """Return features (N, D) divided by a power of two so that the largest magnitude is in [0.5, 1).

    The division is exact (but for values that are 1e38 times smaller than the largest), so everything that depends
    only on ratios of distances is unchanged, while squares can no longer overflow (a diverging network reaches 1e20
    well before it reaches infinity).
    """
    _, exponent = np.frexp(np.abs(features).max())
    scaled: FloatArray = np.ldexp(features, -exponent)
    return scaled
