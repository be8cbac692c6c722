"""Training on a part of the training images: the hardest, the easiest, or as many at random ("data diet").

How hard an image is tells its EL2N score (Paul et al., arXiv 2107.07075): the distance |p - y| between the
probabilities p that a network in training gives and the one-hot label y.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from unseen.data.selection import Chosen, random_rank
from unseen.regular_files import MEBIBYTE, read_bytes
from unseen.wording import count, printable

Keep = Literal["all", "hardest", "easiest", "random"]
_RANDOM = 15  # a stream of random numbers, beside those of the selection
_COLUMNS = ("image", "class", "el2n")


@dataclass(frozen=True)
class Diet:
    """Which of the training images are trained on.

    Attributes:
        keep: All, or of each class the images with the highest or lowest EL2N, or random ones.
        share: Of the images of a class, rounded, one at least. Paul et al. rank the images of all classes together;
            here classes keep their balance, so that it is not changed with the difficulty.
        scores: A file of `el2n_table`; the hardest and the easiest images need it.
        seed: Draws the random ones.

    Raises:
        ValueError: One sentence on what is missing or wrong.
    """

    keep: Keep = "all"
    share: float = 0.5
    scores: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keep not in get_args(Keep):
            raise ValueError(f"keep={self.keep} is none of {', '.join(get_args(Keep))}")
        if not 0 < self.share < 1:
            raise ValueError(f"keep_share={self.share} must lie between 0 and 1")
        if self.keep in {"hardest", "easiest"}:
            if self.scores is None:
                raise ValueError(
                    f"keep={self.keep} needs data.el2n=FILE: the scores of the training images that a run with "
                    "callbacks=el2n and data.keep=all on the same classes has written"
                )
            if not self.scores.is_file():
                raise ValueError(f"data.el2n={self.scores} is not a file; callbacks=el2n writes such files")

    def of(self, train: Chosen) -> Chosen:
        """Return the training images that are kept, in their order.

        Raises:
            ValueError: The file cannot be read, or has no score of one of the images.
        """
        if self.keep == "all":
            return train
        rank = self._ranks(train)
        by_class: dict[int, list[str]] = {}
        for reference, label in zip(*train, strict=True):
            by_class.setdefault(label, []).append(reference)
        kept = {
            reference
            for own in by_class.values()
            for reference in sorted(own, key=rank.__getitem__)[: max(1, round(len(own) * self.share))]
        }
        pairs = [pair for pair in zip(*train, strict=True) if pair[0] in kept]
        return Chosen(tuple(reference for reference, _ in pairs), tuple(label for _, label in pairs))

    def _ranks(self, train: Chosen) -> Mapping[str, tuple[float, str]]:
        """Return what each image is sorted by."""
        if self.keep == "random":
            return {name: random_rank(name, self.seed, _RANDOM) for name in train.references}
        assert self.scores is not None
        scores = read_el2n(self.scores)
        missing = [name for name in train.references if name not in scores]
        if missing:
            raise ValueError(
                f"data.el2n={self.scores} has no score of {count(len(missing), 'training image')}, such as "
                f"{printable(missing[0])}: it is of other classes, images or sizes (data.split_seed, data.train_size)"
            )
        sign = -1 if self.keep == "hardest" else 1
        return {name: (sign * scores[name], name) for name in train.references}


def el2n_table(train: Chosen, classes: tuple[str, ...], scores: Sequence[float]) -> bytes:
    """Return the content of a file of EL2N scores, a line for each image: its name, its class, its score."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for reference, label, score in zip(*train, scores, strict=True):
        writer.writerow((reference, classes[label], f"{score:.6g}"))
    return text.getvalue().encode("utf-8", "surrogateescape")


def read_el2n(path: Path) -> dict[str, float]:
    """Return the EL2N score of each image of a file.

    Raises:
        ValueError: It cannot be read, or is no file of `el2n_table`.
    """
    try:
        text = read_bytes(path, 512 * MEBIBYTE).decode("utf-8", "surrogateescape")
        rows = list(csv.reader(io.StringIO(text)))
        if tuple(rows[0]) != _COLUMNS:
            raise ValueError(f"its first line is not {','.join(_COLUMNS)}")
        scores = {row[0]: float(row[2]) for row in rows[1:]}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise ValueError(f"data.el2n={path} cannot be used: {printable(str(error))}") from error
    if not all(map(math.isfinite, scores.values())):
        raise ValueError(f"data.el2n={path} cannot be used: a score is not finite")
    return scores
