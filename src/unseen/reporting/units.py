"""Which runs are averaged before statistics are taken, and what a result over them generalises to.

Runs differ in their class split and their seed. With three splits or more the units are the splits, each the mean over
its seeds: other classes are the larger part of what varies, and seeds of one split do not show it. With fewer the
units are the seeds, each the mean over the splits, and nothing is said beyond these classes.

Legend: R runs, U units.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unseen.wording import count

LEAST_SPLITS = 3  # of which a spread between splits is told
Cell = tuple[str, int]  # (class split, seed)


@dataclass(frozen=True)
class Units:
    """The runs of a configuration, or those that two configurations share."""

    cells: tuple[Cell, ...]  # R, each once
    over: Literal["splits", "seeds"]
    units: tuple[tuple[int, ...], ...]  # places in `cells` that are averaged

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Units:
        """Return the design of some runs, each with another split or seed."""
        splits = list(dict.fromkeys(split for split, _ in cells))
        if len(splits) >= LEAST_SPLITS:
            units = [tuple(at for at, (split, _) in enumerate(cells) if split == one) for one in splits]
            return cls(tuple(cells), "splits", tuple(units))
        seeds = sorted({seed for _, seed in cells})
        units = [tuple(at for at, (_, seed) in enumerate(cells) if seed == one) for one in seeds]
        # a seed that only one of two splits has would carry that split's difficulty
        whole = [unit for unit in units if len(unit) == len(splits)] or [tuple(range(len(cells)))]
        return cls(tuple(cells), "seeds", tuple(whole))

    @property
    def splits(self) -> int:
        """Number of class splits."""
        return len({split for split, _ in self.cells})

    def average(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (U, ...) means of (R, ...) values over the runs of each unit that have a value."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a unit without any
            means = [np.nanmean(values[list(unit)], axis=0) for unit in self.units]
        return np.stack(means) if means else values[:0]

    @property
    def scope(self) -> str:
        """Return what a result over these units generalises over."""
        return (
            "class splits, each the mean over its seeds"
            if self.over == "splits"
            else "seeds, for these classes"
        )

    def __str__(self) -> str:
        """Return the size of the design, such as "3 class splits × 5 seeds"."""
        seeds = count(len({seed for _, seed in self.cells}), "seed")
        if self.splits < 2:
            return "1 run" if len(self.cells) == 1 else seeds
        full = len(self.cells) == self.splits * len({seed for _, seed in self.cells})
        runs = f" × {seeds}" if full else f", {count(len(self.cells), 'run')}"
        return f"{self.splits} class splits{runs}"


def table_of(values: NDArray[np.float64], cells: Sequence[Cell]) -> NDArray[np.float64]:
    """Return (R,) values as a table of class splits and seeds, NaN where there is no run."""
    splits, seeds = ([*dict.fromkeys(part)] for part in zip(*cells, strict=True)) if cells else ([], [])
    table = np.full((len(splits), len(seeds)), np.nan)
    for (split, seed), value in zip(cells, values, strict=True):
        table[splits.index(split), seeds.index(seed)] = value
    return table
