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
        sources: (N, G), the numbers of what each image is made of, if images share it: the intervals take it to be
            drawn instead of the images. None: each image is drawn by itself.
    """

    def __init__(
        self, measure: Measure, count: int, identity: str, sources: npt.NDArray[np.int64] | None = None
    ) -> None:
        self.measure, self.identity, self.sources = measure, identity, sources
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

        Images are drawn with replacement, all conditions of an image together. Images of shared sources (G = 2: shapes
        and textures) are not: sources are, each kind by itself, with all of their images, and the moves of the means
        are added. What is an image's own then counts G times, so that the interval is rather too wide.

        Where all numbers are 0 or 1, two images are added first (see `_units`). The interval is that of more images or
        sources like these; it says nothing of other networks, or of the same one trained with another seed. How often
        it holds the true value: docs/biases.md. Below two images, where more than 1 % of the resamples have no value,
        or where the measure says so, there is none.

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

    def paired(self, *, resamples: int = 1000) -> dict[str, Array]:
        """Return every value of R resamples, (R,), drawn alike for every network; none of values without an interval.

        As for the intervals, but each image is drawn by itself where they draw those of equal numbers together. What is
        drawn then depends on the images alone: the r-th resamples of two networks are of the same images, and their
        difference is a paired one.

        Args:
            resamples: R.
        """
        n = len(self.numbers)
        sources = np.arange(n)[:, None] if self.sources is None else self.sources
        alike = Observations(self.measure, n, self.identity, sources)
        alike.numbers = self.numbers
        means = np.concatenate([*alike._resampled(resamples, seed=0)])
        without = getattr(self.measure, "without_interval", ())
        return {name: values for name, values in self.measure.values(means).items() if name not in without}

    @property
    def drawn(self) -> int:
        """How many images are drawn with replacement, or sources of the kind of which there are fewest."""
        if self.sources is None:
            return len(self.numbers)
        return min(len(np.unique(sources)) for sources in self.sources.T)

    def _resampled(self, resamples: int, seed: int) -> Iterable[Array]:
        """Yield means of resampled images, some rows (r, K) of the R at a time."""
        generator = np.random.default_rng(seed)
        numbers = self.numbers.astype(np.float64)
        each = [None] if self.sources is None else list(self.sources.T)
        kinds = [_units(numbers, sources) for sources in each]
        at_once = max(1, _NUMBERS_AT_ONCE // max(len(kind.weights) for kind in kinds))
        for first in range(0, resamples, at_once):
            drawn = [kind.means(min(at_once, resamples - first), generator) for kind in kinds]
            moves = sum(
                (means - kind.mean for means, kind in zip(drawn[1:], kinds[1:], strict=True)), start=0.0
            )
            # added moves can leave the range of the numbers, which for shares is 0 to 1
            lowest, highest = np.minimum(numbers.min(axis=0), 0), np.maximum(numbers.max(axis=0), 1)
            yield np.clip(drawn[0] + moves, lowest, highest)


@dataclass(frozen=True)
class _Units:
    """What is drawn with replacement, U kinds of units: images, or sources with all of their images.

    Attributes:
        sums: (U, K), of the numbers of a unit's images.
        sizes: (U,), images of a unit.
        weights: (U,), units of a kind, together a whole number.
    """

    sums: Array
    sizes: Array
    weights: Array

    @property
    def mean(self) -> Array:
        """(K,)."""
        mean: Array = self.weights @ self.sums / (self.weights @ self.sizes)
        return mean

    def means(self, resamples: int, generator: np.random.Generator) -> Array:
        """(R, K), of as many units as there are."""
        total = round(self.weights.sum())
        counts = generator.multinomial(total, self.weights / total, size=resamples)
        means: Array = counts @ self.sums / (counts @ self.sizes)[:, None]
        return means


def _units(numbers: Array, sources: npt.NDArray[np.int64] | None) -> _Units:
    """Return what is drawn: sources (N,) of images with numbers (N, K), or images, those of equal numbers together.

    If every number is 0 or 1, two images are added, with a source of their own: half an image of each kind that is
    right or wrong in the first column, and right or wrong in all others. For a share that is Laplace's rule of
    succession: k of n becomes k + 1 of n + 2. Without them, resamples of images that are all wrong are all wrong, and
    the interval of a rare event is far too short.
    """
    if sources is None:
        sums, counts = np.unique(numbers, axis=0, return_counts=True)
        sizes, weights = np.ones(len(sums)), counts.astype(np.float64)
    else:
        _, of_image, counts = np.unique(sources, return_inverse=True, return_counts=True)
        sums = np.zeros((len(counts), numbers.shape[1]))
        np.add.at(sums, of_image, numbers)
        sizes, weights = counts.astype(np.float64), np.ones(len(counts))
    if not np.isin(numbers, (0, 1)).all():
        return _Units(sums, sizes, weights)
    first, others = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
    added = np.column_stack([first, *[others] * (numbers.shape[1] - 1)])
    return _Units(
        np.concatenate([sums, added]), np.append(sizes, np.ones(4)), np.append(weights, np.full(4, 0.5))
    )


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
        ValueError: Outputs of the network, or numbers of the measure, are not finite.
    """

    def checked(images: torch.Tensor) -> torch.Tensor:
        scores = classifier(images)
        if not bool(torch.isfinite(scores).all()):  # else a decision is the first class that is NaN
            raise ValueError(
                "the network's outputs are not finite (NaN or infinity), so nothing can be measured"
            )
        return scores

    for batch in batches:
        numbers = observations.measure.observe(checked, batch)
        if not bool(torch.isfinite(numbers).all()):
            raise ValueError(f"{observations.measure} gave a number that is not finite (NaN or infinity)")
        observations.add(numbers)
        advance(len(batch.images))
