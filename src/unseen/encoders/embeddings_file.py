"""Embeddings of a task in a file, for which no encoder is needed: read with checks, and written.

Legend: N images, C classes, D features, Z source classes, K label models, E features of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt

from unseen.encoders.embeddings_csv import read_csv_pair
from unseen.regular_files import open_regular
from unseen.wording import count, listing, one_line

Array = npt.NDArray[Any]
_MOST_BYTES = 2**36
_NEEDED = ("images", "texts", "labels")
_ARGUMENTS = (*_NEEDED, "probabilities", "label_embeddings")  # of score_all
_ROWS_AT_ONCE = 65_536
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Embeddings:
    """What an encoder made of a task.

    Attributes:
        images: (N, D) real numbers, N >= 1, none of them NaN or infinite, no row zero; of any length.
        texts: (C, D) likewise, one row for each class, C >= 2.
        labels: (N,) int64, the images' rows of `texts`.
        names: Of the C classes.
        probabilities: (N, Z) of the images' classes without training, for LEEP; None: not known.
        label_embeddings: (K, C, E) vectors of the class names by language models, for EMMS; None: not known.
        encoder: Its name; empty: not known.
        task: Its name.
        composed: Whether the encoder is a demonstration of two towers that were trained apart.
        label_models: Of which `label_embeddings` are, such as `masked`, or `demo`; empty: not known.
    """

    images: Array
    texts: Array
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    probabilities: Array | None = None
    label_embeddings: Array | None = None
    encoder: str = ""
    task: str = ""
    composed: bool = False
    label_models: str = ""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `unseen.transfer.score_all`."""
        return {name: values for name, values in self._known().items() if name in _ARGUMENTS}

    def save(self, file: BinaryIO) -> None:
        """Write what `read_embeddings` reads."""
        np.savez(file, **self._known())

    def _known(self) -> dict[str, Any]:
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


def read_embeddings(path: Path | str) -> Embeddings:
    """Read `images` (N, D), `texts` (C, D), `labels` (N,) and what else there is of an .npz file.

    Such a file is made by `np.savez("file.npz", images=..., texts=..., labels=..., names=...)`; further arrays are as
    `Embeddings` has them. Without `names`, classes are called by their numbers; without `task`, the task by the file.
    Nothing in the file is run. Of the CSV files of arXiv 2407.15731, the one of images is named (`embeddings_csv`).

    Raises:
        ValueError: One sentence: the file cannot be read, lacks an array, or its arrays do not belong together.
    """
    path = Path(path).expanduser()
    arrays, task = _arrays(path)
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
    _check_further(arrays, len(images), len(texts), path)
    return Embeddings(
        images,
        texts,
        labels.astype(np.int64),
        _names(arrays.get("names"), len(texts), path),
        arrays.get("probabilities"),
        arrays.get("label_embeddings"),
        _text(arrays, "encoder", path),
        _text(arrays, "task", path) or task,
        bool(arrays.get("composed", False)),
        _text(arrays, "label_models", path),
    )


def _arrays(path: Path) -> tuple[dict[str, Array], str]:
    """Return the arrays of a file by name, and what the task is called after the file."""
    if path.suffix == ".csv":
        return read_csv_pair(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path} is no .npz file, which holds embeddings; np.savez writes it")
    known = {one.name for one in fields(Embeddings)}
    try:
        with open_regular(path, _MOST_BYTES) as file:
            if not is_zipfile(file):  # NumPy would take it for pickled objects
                raise ValueError("it is damaged, or of another format")
            file.seek(0)
            with np.load(file, allow_pickle=False) as content:
                return {name: content[name] for name in content.files if name in known}, path.stem
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except Exception as error:  # broken bytes may cause any
        raise ValueError(f"{path} cannot be read as an .npz file: {one_line(error)[:200]}") from error


def _check_rows(values: Array, what: str) -> None:
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


def _check_labels(labels: Array, n: int, c: int, path: Path) -> None:
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels of {path} must be {count(n, 'whole number')}, one for each image, got shape {labels.shape} of "
            f"{labels.dtype}"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= c:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"labels of {path} have {wrong}; they number the rows of texts, 0..{c - 1}")


def _check_further(arrays: dict[str, Array], n: int, c: int, path: Path) -> None:
    """Check what need not be there: `probabilities`, `label_embeddings`, `composed`."""
    if (chances := arrays.get("probabilities")) is not None:
        _check_rows(chances, f"probabilities of {path}")
        if len(chances) != n or (chances < 0).any():
            raise ValueError(
                f"probabilities of {path} must be {count(n, 'row')} of numbers from 0 to 1, one for each image, got "
                f"shape {chances.shape}, the least {chances.min():g}"
            )
    if (sets := arrays.get("label_embeddings")) is not None and (sets.ndim != 3 or sets.shape[1] != c):
        raise ValueError(
            f"label_embeddings of {path} must be an array (K, {c}, E), a vector of each class by each of K models, got "
            f"shape {sets.shape}"
        )
    if (composed := arrays.get("composed")) is not None and (composed.shape, composed.dtype.kind) != (
        (),
        "b",
    ):
        raise ValueError(f"composed of {path} must be true or false, got {composed.dtype}")


def _names(names: Array | None, c: int, path: Path) -> tuple[str, ...]:
    if names is None:
        return tuple(str(number) for number in range(c))
    if names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError(f"names of {path} must be a list of texts, got shape {names.shape} of {names.dtype}")
    if len(names) != c:
        what = "more names than classes" if len(names) > c else "too few names"
        raise ValueError(f"{path} has {what}: {count(len(names), 'name')} for {c} rows of texts")
    return tuple(str(name) for name in names)


def _text(arrays: dict[str, Array], name: str, path: Path) -> str:
    value = arrays.get(name, np.array(""))
    text = str(value) if value.dtype.kind == "U" and value.shape == () else None
    if text is None or len(text) > _LONGEST_NAME or not text.isprintable():
        raise ValueError(f"{name} of {path} must be one printable text of at most {_LONGEST_NAME} characters")
    return text
