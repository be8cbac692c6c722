"""What every probe accepts: embeddings (N, D) and labels (N,), checked once and in one way.

Shape legend of this folder: N samples, D features, C classes or clusters, K neighbours, B rows of a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class ProbeWarning(UserWarning):
    """A probe met data that it can only answer with NaN, zero or a reservation."""


def checked_embeddings(embeddings: Tensor | npt.ArrayLike) -> Tensor:
    """Return embeddings (N, D) in float32 or float64 where they are, on the CPU or a CUDA device.

    Half precision, bfloat16 and small integers become float32, which holds them exactly; the input stays untouched.

    Raises:
        ValueError: If the shape is not (N, D) with N, D >= 1, the values are not real numbers, or any is
            NaN or infinite.
    """
    if isinstance(embeddings, Tensor):
        tensor = embeddings.detach()
        real = not tensor.dtype.is_complex
        dtype: Any = tensor.dtype
    else:
        array = np.asarray(embeddings)
        real, dtype = array.dtype.kind in "biuf", array.dtype
        tensor = torch.from_numpy(_readable(array)) if real else torch.empty(array.shape)
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ValueError(f"embeddings must have shape (N, D) with N, D >= 1, got {tuple(tensor.shape)}")
    if not real:
        raise ValueError(f"embeddings must be real numbers, got dtype {str(dtype).removeprefix('torch.')}")
    if tensor.dtype not in (torch.float32, torch.float64):
        large = tensor.dtype in (torch.int32, torch.int64)
        tensor = tensor.to(torch.float64 if large else torch.float32)
    if tensor.device.type not in {"cpu", "cuda"}:  # Apple's has no float64
        tensor = tensor.cpu()
    bad = int((~tensor.isfinite()).any(1).sum())
    if bad:
        raise ValueError(
            f"embeddings contain NaN or infinity ({bad} of {len(tensor)} rows): the network has "
            "probably diverged; lower the learning rate or use a wider number format"
        )
    return tensor


def checked_labels(
    labels: Tensor | npt.ArrayLike, num_samples: int, device: torch.device | str = "cpu"
) -> tuple[npt.NDArray[Any], Tensor]:
    """Return the C sorted distinct labels and, for each sample, the index 0..C-1 of its own: (N,) on `device`.

    Any integers will do: 80..99 and negative ones are relabelled.

    Raises:
        ValueError: If the labels are not N integers.
    """
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.shape != (num_samples,):
        raise ValueError(
            f"labels must have shape ({num_samples},) like the embeddings, got {tuple(array.shape)}"
        )
    if array.dtype.kind not in "biu":
        raise ValueError(f"labels must be integers, got dtype {array.dtype}")
    names, targets = np.unique(array, return_inverse=True)  # (C,), (N,)
    return names, torch.from_numpy(targets.astype(np.int64, copy=False)).to(device)


def unit_scaled(features: Tensor) -> Tensor:
    """Return features (N, D) divided by a power of two so that the largest magnitude is in [0.5, 1).

    The division is exact (but for values that are 1e38 times smaller than the largest), so everything that depends
    only on ratios of distances is unchanged, while squares can no longer overflow (a diverging network reaches 1e20
    well before it reaches infinity).
    """
    _, exponent = torch.frexp(features.abs().max())
    return torch.ldexp(features, -exponent)


def _readable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array that torch can share: of a type that it knows, contiguous where strides are negative."""
    if array.dtype not in (np.float16, np.float32, np.float64):
        array = array.astype(np.result_type(array.dtype, np.float32))
    if array.dtype.byteorder not in "=|" or any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return array if array.flags.writeable else array.copy()  # torch warns of read-only memory
