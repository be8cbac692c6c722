"""Embeddings of a task from a file of NumPy, for which no encoder is needed.

Legend: N images, C classes, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unseen.regular_files import open_regular
from unseen.wording import count, listing, one_line

_MOST_BYTES = 2**36
_NEEDED = ("images", "texts", "labels")
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Embeddings:
    """What an encoder made of a task.

    Attributes:
        images: (N, D) real numbers, N >= 1, none of them NaN or infinite, no row zero; of any length.
        texts: (C, D) likewise, one row for each class, C >= 2.
        labels: (N,) int64, the images' rows of `texts`.
        names: Of the C classes.
    """

    images: npt.NDArray[Any]
    texts: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]


def read_embeddings(path: Path) -> Embeddings:
    """Read `images` (N, D), `texts` (C, D), `labels` (N,) and, if there, `names` (C,) of an .npz file.

    Such a file is made by `np.savez("file.npz", images=..., texts=..., labels=..., names=...)`. Without names, classes
    are called by their numbers. Nothing in the file is run.

    Raises:
        ValueError: One sentence: the file cannot be read, lacks an array, or its arrays do not belong together.
    """
    arrays = _arrays(path)
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} has no {' and no '.join(missing)}; it must hold images (N, D), texts (C, D) and labels (N,), "
            f"and holds {listing(sorted(arrays)) or 'nothing'}"
        )
    images, texts, labels = (arrays[name] for name in _NEEDED)
    _check_rows(images, f"images of {path}")
    _check_rows(texts, f"texts of {path}")
    if images.shape[1] != texts.shape[1]:
        raise ValueError(
            f"images of {path} have {images.shape[1]} dimensions and texts {texts.shape[1]}; both must come from one "
            "encoder"
        )
    if len(texts) < 2:
        raise ValueError(f"{path} has one class only; a task needs two at least")
    _check_labels(labels, len(images), len(texts), path)
    return Embeddings(images, texts, labels.astype(np.int64), _names(arrays.get("names"), len(texts), path))


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    if path.suffix != ".npz":
        raise ValueError(f"{path} is no .npz file, which holds embeddings; np.savez writes it")
    try:
        with open_regular(path, _MOST_BYTES) as file, np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in (*_NEEDED, "names") if name in content.files}
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except Exception as error:  # broken bytes may cause any
        raise ValueError(f"{path} cannot be read as an .npz file: {one_line(error)[:200]}") from error


def _check_rows(values: npt.NDArray[Any], what: str) -> None:
    if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "fiu":
        raise ValueError(
            f"{what} must be a table of real numbers with rows and columns, got shape {values.shape} of {values.dtype}"
        )
    for first in range(0, len(values), _ROWS_AT_ONCE):
        block = values[first : first + _ROWS_AT_ONCE]
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise ValueError(f"{what} have NaN or infinity in row {first + int(finite.argmin())}")
        some = block.any(axis=1)
        if not some.all():
            raise ValueError(
                f"{what} have zeros only in row {first + int(some.argmin())}, which has no direction"
            )


def _check_labels(labels: npt.NDArray[Any], n: int, c: int, path: Path) -> None:
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels of {path} must be {count(n, 'whole number')}, one for each image, got shape {labels.shape} of "
            f"{labels.dtype}"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= c:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"labels of {path} have {wrong}; they number the rows of texts, 0..{c - 1}")


def _names(names: npt.NDArray[Any] | None, c: int, path: Path) -> tuple[str, ...]:
    if names is None:
        return tuple(str(number) for number in range(c))
    if names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError(f"names of {path} must be a list of texts, got shape {names.shape} of {names.dtype}")
    if len(names) != c:
        what = "more names than classes" if len(names) > c else "too few names"
        raise ValueError(f"{path} has {what}: {count(len(names), 'name')} for {c} rows of texts")
    return tuple(str(name) for name in names)
