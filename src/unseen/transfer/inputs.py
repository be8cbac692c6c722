"""What every transfer score accepts: features (N, D), labels (N,) and texts (C, D), checked in one way.

Shape legend of this folder: N images, D features, C classes, Z source classes, K label sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from unseen.wording import count

Matrix = npt.ArrayLike | torch.Tensor
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[Any]
SAME = "features are all the same"
_ROUNDING = 32 * np.finfo(np.float64).eps


def as_matrix(values: Matrix, what: str) -> Reals:
    """Return real numbers (N, D) as they are, without a copy where the input is an array or a tensor on the CPU.

    Raises:
        ValueError: The shape is not (N, D) with N, D >= 1, or the values are not real numbers.
    """
    array = _array(values, what)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{what} must be a table of rows and columns, at least one of each, got shape {array.shape}"
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} must be real numbers, got dtype {array.dtype}")
    return array


def finite(values: Matrix, what: str) -> Floats:
    """Return a float64 copy (N, D) of finite numbers.

    Raises:
        ValueError: As `as_matrix`, or a value is NaN or infinite.
    """
    array = np.array(as_matrix(values, what), dtype=np.float64)
    bad = ~np.isfinite(array).all(axis=1)  # (N,)
    if bad.any():
        raise ValueError(not_finite(what, int(bad.argmax())))
    return array


def unit_rows(values: Matrix, what: str) -> Floats:
    """Return a float64 copy (N, D) whose rows have length 1.

    Raises:
        ValueError: As `finite`, or a row is zero.
    """
    array = finite(values, what)
    # by the largest magnitude first, so that squares neither overflow nor vanish
    largest = np.abs(array).max(axis=1, keepdims=True)  # (N, 1)
    if not largest.all():
        raise ValueError(zero_row(what, int(largest.argmin())))
    array /= largest
    array /= np.linalg.norm(array, axis=1, keepdims=True)
    return array


def not_finite(what: str, row: int) -> str:
    """Return the sentence for a row with NaN or infinity."""
    return f"row {row} of {what} has NaN or infinity"


def zero_row(what: str, row: int) -> str:
    """Return the sentence for a row that has no direction."""
    return f"row {row} of {what} is all zeros, so it has no direction and no cosine"


def integers(labels: Matrix, images: int) -> Integers:
    """Return labels (N,) as int64.

    Raises:
        ValueError: They are not N integers.
    """
    array = _array(labels, "labels")
    if array.shape != (images,):
        raise ValueError(
            f"labels must be one for each of {count(images, 'image')}, got shape {tuple(array.shape)}"
        )
    if array.dtype.kind not in "biu":
        raise ValueError(f"labels must be integers, got dtype {array.dtype}")
    return array.astype(np.int64)


def class_numbers(labels: Matrix, images: int, classes: int) -> Integers:
    """Return labels (N,) that number the rows of a table of classes.

    Raises:
        ValueError: They are not N integers from 0 to C - 1.
    """
    numbers = integers(labels, images)
    wrong = (numbers < 0) | (numbers >= classes)
    if wrong.any():
        raise ValueError(
            f"label {numbers[wrong.argmax()]} has no class: with {count(classes, 'class', 'classes')} labels go "
            f"from 0 to {classes - 1}"
        )
    return numbers


def classes_of(labels: Matrix, images: int, least: int = 1) -> Integers:
    """Return for each image (N,) the number of its class 0..C-1 among the classes that have images, in their order.

    Args:
        labels: (N,) integers, such as 80..99.
        images: N.
        least: Images that every class must have.

    Raises:
        ValueError: They are not N integers, there is one class only, or a class has too few images.
    """
    names, targets, sizes = np.unique(integers(labels, images), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError(f"all images are of class {names[0]}: there must be two classes at least")
    if sizes.min() < least:
        few = sizes.argmin()
        raise ValueError(
            f"class {names[few]} has {count(int(sizes[few]), 'image')}; this score needs {least} of each class"
        )
    return targets.astype(np.int64)


def varies_from(features: Floats, others: Floats) -> bool:
    """Return whether features (N, D) differ from others (N, D) or (D,) by more than rounding.

    Rows that were divided by their lengths differ by rounding where they have one direction, and their variance is then
    a number that no score can be made of.
    """
    return bool(np.abs(features - others).max() > _ROUNDING * np.abs(features).max())


def class_means(features: Floats, targets: Integers) -> tuple[Floats, Integers]:
    """Return the mean (C, D) of each class and its number of images (C,); every class 0..C-1 has images."""
    sizes = np.bincount(targets)  # (C,)
    order = np.argsort(targets, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sums = np.add.reduceat(features[order], starts, axis=0)  # (C, D)
    return sums / sizes[:, None], sizes


def _array(values: Matrix, what: str) -> Reals:
    if isinstance(values, torch.Tensor):
        tensor = values.detach().cpu()
        values = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:  # rows of several lengths
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{what} cannot be read as an array: {reason}") from error
