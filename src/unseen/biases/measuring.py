"""The loop that measures a network: numbers of every image, kept in a file, and values with their intervals.

Legend: B batch, N images, K numbers of an image, R resamples.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from unseen.biases.measure import Array, Batch, Classifier, Measure

CONFIDENCE = 0.95
_NUMBERS_AT_ONCE = 2**24  # drawn for resamples: 128 MiB of float64
_DEFINED = 0.99  # share of the resamples that must have a value, else there is no interval


@dataclass(frozen=True)
class Estimate:
    """A value and how far it would move with other images of the same kind.

    Attributes:
        value: NaN where the images do not tell it.
        low: Lower end of the 95 % interval; NaN where there is none.
        high: Upper end.
        n: Number of images.
    """

    value: float
    low: float
    high: float
    n: int


class Observations:
    """The numbers of N images, filled from the front.

    Args:
        measure: Gives the K columns.
        count: N.
        identity: What the numbers depend on: network, images, settings. A file of another identity is not continued.
    """

    def __init__(self, measure: Measure, count: int, identity: str) -> None:
        self.measure, self.identity = measure, identity
        self.numbers: npt.NDArray[np.float32] = np.full((count, len(measure.columns)), np.nan, np.float32)
        self.done = 0

    @property
    def finished(self) -> bool:
        """Whether every image has its numbers."""
        return self.done == len(self.numbers)

    def continue_from(self, path: Path) -> None:
        """Take over what a file holds of the same identity and columns; a damaged or other file counts for nothing."""
        try:
            with np.load(path, allow_pickle=False) as file:
                stored = {name: file[name] for name in ("identity", "columns", "numbers", "done")}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return
        same = str(stored["identity"]) == self.identity and stored["numbers"].shape == self.numbers.shape
        if same and stored["columns"].tolist() == list(self.measure.columns):
            self.done = min(max(int(stored["done"]), 0), len(self.numbers))
            self.numbers[: self.done] = stored["numbers"][: self.done]

    def add(self, numbers: torch.Tensor) -> None:
        """Put the numbers (B, K) of the next images behind the others."""
        rows = numbers.detach().to("cpu", torch.float32).numpy()
        self.numbers[self.done : self.done + len(rows)] = rows
        self.done += len(rows)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `continue_from` reads, for `np.savez`."""
        return {
            "identity": np.array(self.identity),
            "columns": np.array(self.measure.columns),
            "numbers": self.numbers,
            "done": np.array(self.done),
        }

    def means(self) -> dict[str, float]:
        """Return the mean of each column over all images: the accuracy under each condition, for most measures."""
        means = self.numbers.mean(axis=0, dtype=np.float64)
        return dict(zip(self.measure.columns, means.tolist(), strict=True))

    def estimates(self, *, resamples: int = 1000, seed: int = 0) -> dict[str, Estimate]:
        """Return every value with its percentile bootstrap interval over images.

        Images are drawn with replacement, all conditions of an image together; where all numbers are right or wrong,
        two are added first: see `_kinds`. The interval is that of images like these, each drawn by itself; it says
        nothing of other networks, or of the same one trained with another seed. How often such an interval holds the
        true value: docs/biases.md. Below two images, where more than 1 % of the resamples have no value, or where the
        measure says so, there is none.

        Args:
            resamples: R.
            seed: Of the draws.
        """
        n = len(self.numbers)
        means = np.concatenate(
            [self.numbers.mean(axis=0, dtype=np.float64)[None], *self._resampled(resamples, seed)]
        )
        without = getattr(self.measure, "without_interval", ())
        found = {}
        for name, values in self.measure.values(means).items():
            drawn = values[1:][~np.isnan(values[1:])]
            known = n > 1 and not np.isnan(values[0]) and len(drawn) >= _DEFINED * resamples > 0
            known = known and name not in without
            tail = (1 - CONFIDENCE) / 2
            low, high = np.quantile(drawn, (tail, 1 - tail)) if known else (np.nan, np.nan)
            found[name] = Estimate(float(values[0]), float(low), float(high), n)
        return found

    def _resampled(self, resamples: int, seed: int) -> Iterable[Array]:
        """Yield means of resampled images, some rows (r, K) of the R at a time."""
        generator = np.random.default_rng(seed)
        rows, weights = _kinds(self.numbers)
        n = round(weights.sum())
        at_once = max(1, _NUMBERS_AT_ONCE // len(rows))
        for first in range(0, resamples, at_once):
            # how often an image of each kind was drawn
            counts = generator.multinomial(n, weights / n, size=min(at_once, resamples - first))
            yield counts @ rows / n


def _kinds(numbers: npt.NDArray[np.float32]) -> tuple[Array, Array]:
    """Return the different rows of numbers (N, K) that images have, (U, K), and how many images have each, (U,).

    If every number is 0 or 1, two images are added: half an image of each kind that is right or wrong in the first
    column, and right or wrong in all others. For a share that is Laplace's rule of succession: k of n becomes k + 1 of
    n + 2. Without them, resamples of images that are all wrong are all wrong, and the interval of a rare event is far
    too short.
    """
    rows, counts = np.unique(numbers.astype(np.float64), axis=0, return_counts=True)
    weights = counts.astype(np.float64)
    if not np.isin(rows, (0, 1)).all():
        return rows, weights
    first, others = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
    added = np.column_stack([first, *[others] * (rows.shape[1] - 1)])
    return np.concatenate([rows, added]), np.append(weights, np.full(4, 0.5))


def observe(
    observations: Observations,
    classifier: Classifier,
    batches: Iterable[Batch],
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Fill observations with the numbers of the images that have none yet.

    Args:
        observations: Changed in place.
        classifier: The network, in eval mode.
        batches: The images from number `observations.done` on.
        advance: Called with the number of images done, after each batch.

    Raises:
        ValueError: A measure gave a number that is not finite: the network's outputs are not.
    """
    for batch in batches:
        numbers = observations.measure.observe(classifier, batch)
        if not bool(torch.isfinite(numbers).all()):
            raise ValueError(
                "the network's outputs are not finite (NaN or infinity), so nothing can be measured"
            )
        observations.add(numbers)
        advance(len(batch.images))
