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


class LabelWarning(ProbeWarning):
    """The labels are such that a score has no value, whatever the embeddings: the same for every layer."""


class NotFiniteError(ValueError):
    """Embeddings hold NaN or infinity."""


def checked_embeddings(embeddings: Tensor | npt.ArrayLike) -> Tensor:
    """Return embeddings (N, D) in float32 or float64 where they are, on the CPU or a CUDA device.

    Half precision, bfloat16 and small integers become float32, which holds them exactly; the input stays untouched.

    Raises:
        ValueError: If the shape is not (N, D) with N, D >= 1, or the values are not real numbers.
        NotFiniteError: If any of them is NaN or infinite.
    """
    if isinstance(embeddings, Tensor):
        if embeddings.layout != torch.strided or embeddings.is_meta:
            raise ValueError(
                "embeddings must be a dense tensor with values; of a sparse one give embeddings.to_dense()"
            )
        tensor = embeddings.detach()
        real = not tensor.dtype.is_complex
        dtype: Any = tensor.dtype
    else:
        array = _array(embeddings, "embeddings")
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
    if not tensor.sum().isfinite():  # many times quicker than to test each; a sum may overflow, too
        bad = (~tensor.isfinite()).any(1).nonzero()  # (rows, 1)
        if len(bad):
            raise NotFiniteError(
                f"embeddings contain NaN or infinity ({len(bad)} of {len(tensor)} rows, the first is row {int(bad[0])})"
            )
    return tensor


def checked_labels(
    labels: Tensor | npt.ArrayLike, num_samples: int, device: torch.device | str = "cpu"
) -> tuple[npt.NDArray[Any], Tensor]:
    """Return the C sorted distinct labels and, for each sample, the index 0..C-1 of its own: (N,) on `device`.

    Integers will do, such as 80..99 and negative ones, and texts, categories of pandas, and floats without a fraction.

    Raises:
        ValueError: If the labels are not N of these, or one is missing (NaN, None).
    """
    if isinstance(labels, Tensor):
        labels = labels.detach().cpu()
        labels = labels.double() if labels.is_floating_point() else labels
    array = _array(labels, "labels")
    if array.shape != (num_samples,):
        per_class = array.ndim == 2 and len(array) == num_samples
        advice = "; of one-hot rows or scores give labels.argmax(1)" if per_class else ""
        raise ValueError(
            f"labels must have shape ({num_samples},) like the embeddings, got {tuple(array.shape)}{advice}"
        )
    if not num_samples:
        raise ValueError("there are no samples")
    if array.dtype.kind in "OfTM":
        _check_classes(array)
    elif array.dtype.kind not in "biuUS":
        raise ValueError(f"labels must be integers or texts, got dtype {array.dtype}")
    names, targets = np.unique(array, return_inverse=True)  # (C,), (N,)
    return names, torch.from_numpy(targets.astype(np.int64, copy=False)).to(device)


def _check_classes(array: npt.NDArray[Any]) -> None:
    """Refuse labels (N,) that are missing, of several kinds, or floats with a fraction."""
    missing = sum(map(_is_missing, array))
    if missing:
        raise ValueError(
            f"{missing} of {len(array)} labels are missing (NaN or None); leave these samples out"
        )
    kinds = {
        str if isinstance(label, str) else int if isinstance(label, int | np.integer) else type(label)
        for label in array
    }
    if len(kinds) > 1:
        raise ValueError(
            f"labels must be of one kind, got {' and '.join(sorted(kind.__name__ for kind in kinds))}"
        )
    (kind,) = kinds
    if issubclass(kind, float | np.floating):
        if (fractions := array[array % 1 != 0]).size:
            raise ValueError(f"labels must be classes, integers or texts, got {fractions[0]}")
    elif kind not in (str, int):
        raise ValueError(f"labels must be integers or texts, got {kind.__name__}")


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)  # noqa: PLR0124  (only NaN differs from itself)
    except TypeError:  # of pandas.NA nobody knows
        return True


def _array(values: Any, what: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except (
        ValueError,
        TypeError,
        RuntimeError,
    ) as error:  # rows of several lengths, a list of tensors on a GPU
        raise ValueError(f"{what} cannot be read as an array: {str(error).partition(chr(10))[0]}") from error


def unit_scaled(features: Tensor) -> Tensor:
    """Return features (N, D) divided by a power of two so that the largest magnitude is in [0.5, 1).

    The division is exact (but for values that are 1e38 times smaller than the largest), so everything that depends
    only on ratios of distances is unchanged, while squares can no longer overflow (a diverging network reaches 1e20
    well before it reaches infinity).
    """
    least, most = features.aminmax()
    exponent = int(torch.frexp(torch.maximum(most, -least)).exponent)
    half = -exponent // 2  # in two steps, as one factor alone may be beyond the type
    return features * 2.0**half * 2.0 ** (-exponent - half)


def at_most(most: int, images: int, seed: int) -> Tensor:
    """Return the places of the images, ascending; of more than `most` so many, drawn at random."""
    if images <= most:
        return torch.arange(images)
    drawn = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    return drawn[:most].sort().values


def _readable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array that torch can share: of a type that it knows, contiguous where strides are negative."""
    if array.dtype not in (np.float16, np.float32, np.float64):
        array = array.astype(np.result_type(array.dtype, np.float32))
    if array.dtype.byteorder not in "=|" or any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return array if array.flags.writeable else array.copy()  # torch warns of read-only memory
