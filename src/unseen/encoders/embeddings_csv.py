"""Embeddings as the public code of arXiv 2407.15731 writes them: two CSV files without headings.

`MODEL_DATASET_image_embeddings.csv` has a row an image, its label in the last column, and
`MODEL_DATASET_text_embeddings.csv` a row a class; `_zs` before `.csv` marks a model without training in both.
Legend: N images, C classes, D features.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unseen.regular_files import open_regular
from unseen.wording import count, one_line

_MOST_BYTES = 2**36
_IMAGES, _TEXTS = "image_embeddings", "text_embeddings"


def read_csv_pair(images: Path) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Return `images` (N, D), `labels` (N,), `texts` (C, D), and MODEL_DATASET.

    Args:
        images: The file of images; that of texts lies beside it.

    Raises:
        ValueError: One sentence: another name, a missing or damaged file, labels that are no whole numbers, or all rows
            twice, as the code adds to a file that is there.
    """
    before, found, after = images.name.rpartition(_IMAGES)
    if not found:
        raise ValueError(
            f"{images} is not called ..._{_IMAGES}.csv, beside which ..._{_TEXTS}.csv holds the captions; an .npz file "
            "may have any name"
        )
    rows = _table(images)
    labels = rows[:, -1]
    if not (labels == np.round(labels)).all():  # NaN is not equal to itself
        wrong = labels[labels != np.round(labels)][0]
        raise ValueError(f"{images} has {wrong:g} in its last column, which must hold whole labels")
    texts = _table(images.with_name(f"{before}{_TEXTS}{after}"))
    return {"images": rows[:, :-1], "labels": labels.astype(np.int64), "texts": texts}, before.strip(
        "_"
    ) or images.stem


def _table(path: Path) -> npt.NDArray[np.float64]:
    try:
        with open_regular(path, _MOST_BYTES) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, which is refused as a table without rows
            rows = np.loadtxt(file, delimiter=",", ndmin=2)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except Exception as error:  # broken bytes may cause any
        raise ValueError(f"{path} cannot be read as a table of numbers: {one_line(error)[:200]}") from error
    for first in np.flatnonzero((rows == rows[:1]).all(axis=1))[1:2]:
        if len(rows) % first == 0 and (rows.reshape(-1, first, rows.shape[1]) == rows[:first]).all():
            raise ValueError(
                f"{path} has its first {count(int(first), 'row')} {len(rows) // first} times: the code that writes it "
                "adds to a file that is there; keep them once"
            )
    return rows
