"""Which runs are averaged before statistics are taken, and what a result over them generalises to.

Runs differ in their class split and their seed. With three splits or more the units are the splits: other classes are
the larger part of what varies, and seeds of one split do not show it. Only seeds that every split has count then, so
that no split has another share of them; with two such seeds or more, splits and seeds form a table, over which results
hold for other classes *and* other seeds (`crossed`). With fewer splits the units are the seeds, each the mean over the
splits, and nothing is said beyond these classes. A split seed may also draw other images of the same classes: such
splits are units, too, but nothing is said about other classes (`kind_of_splits`).

Legend: R runs, U units, S class splits, T seeds.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unseen.wording import count

LEAST_SPLITS = 3  # of which a spread between splits is told
CLASS_SPLITS, IMAGE_DRAWS, MIXED = "class splits", "image draws", "splits, some of the same classes"
Cell = tuple[str, int]  # (class split, seed)


@dataclass(frozen=True)
class Units:
    """The runs of a configuration, or those that two configurations share."""

    cells: tuple[Cell, ...]  # R, each once
    over: Literal["splits", "seeds"]
    units: tuple[tuple[int, ...], ...]  # places in `cells` of the runs that count
    crossed: bool = False  # whether the units are splits that share two seeds or more, in one order
    kind: str = CLASS_SPLITS  # what its splits differ in

    @classmethod
    def of(cls, cells: Sequence[Cell], left_out: Collection[int] = (), kind: str = CLASS_SPLITS) -> Units:
        """Return the design of some runs, each with another split or seed.

        Args:
            cells: Split and seed of R runs.
            left_out: Places of runs that do not count.
            kind: What `kind_of_splits` returned for these runs.
        """
        places = {cell: at for at, cell in enumerate(cells) if at not in left_out}
        splits = list(dict.fromkeys(split for split, _ in places))
        seeds = sorted({seed for _, seed in places})
        shared = [seed for seed in seeds if all((split, seed) in places for split in splits)]
        if len(splits) >= LEAST_SPLITS:
            counted = [
                cell for cell in sorted(places, key=lambda cell: cell[1]) if cell[1] in shared or not shared
            ]
            units = [tuple(places[cell] for cell in counted if cell[0] == split) for split in splits]
            return cls(tuple(cells), "splits", tuple(units), len(shared) > 1, kind)
        # a seed that only one of two splits has would carry that split's difficulty
        units = [tuple(places[split, seed] for split in splits) for seed in shared]
        return cls(tuple(cells), "seeds", tuple(units or [tuple(places.values())]), kind=kind)

    @property
    def counted(self) -> tuple[Cell, ...]:
        """Runs that count."""
        return tuple(self.cells[at] for unit in self.units for at in unit)

    @property
    def splits(self) -> int:
        """Number of class splits."""
        return len({split for split, _ in self.cells})

    def arrange(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what statistics take: (R, ...) values as a table (S, T, ...), or (U, ...) means of the units.

        A mean is over the runs of the unit that have a value.
        """
        if self.crossed:
            return np.stack([values[list(unit)] for unit in self.units])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a unit without any
            means = [np.nanmean(values[list(unit)], axis=0) for unit in self.units]
        return np.stack(means) if means else values[:0]

    @property
    def noun(self) -> str:
        """Return what the units are called in short."""
        return "draws" if self.over == "splits" and self.kind == IMAGE_DRAWS else self.over

    @property
    def scope(self) -> str:
        """Return what a result over these units generalises over."""
        if self.over == "seeds":
            return "seeds, for these classes"
        classes = ", for these classes" if self.kind == IMAGE_DRAWS else ""
        if self.crossed:
            return f"{self.kind} and seeds{classes}"
        seeds = [seed for _, seed in self.counted]
        if len(seeds) == len(set(seeds)):
            return f"{self.kind} and seeds, each with its own{classes}"
        return f"{self.kind}, for {'this seed' if len(set(seeds)) == 1 else 'these seeds'}{classes}"

    def __str__(self) -> str:
        """Return the size of the design, such as "3 class splits × 5 seeds"."""
        seeds = count(len({seed for _, seed in self.cells}), "seed")
        if self.splits < 2:
            return "1 run" if len(self.cells) == 1 else seeds
        full = len(self.cells) == self.splits * len({seed for _, seed in self.cells})
        used = len(self.counted)
        of = (
            ""
            if used == len(self.cells)
            else f", of which {used} {'has' if used == 1 else 'have'} seeds of all splits"
        )
        runs = f" × {seeds}" if full else f", {count(len(self.cells), 'run')}{of}"
        return f"{self.splits} {self.kind}{runs}"


def kind_of_splits(classes: Sequence[Sequence[str] | None]) -> str:
    """Return what some splits differ in: their unseen classes, only the images, or some in this and some in that.

    Args:
        classes: The unseen classes of each split; None where they are not known, which counts as other classes.

    >>> kind_of_splits([["a", "b"], ["b", "c"]]), kind_of_splits([["a", "b"], ["b", "a"]])
    ('class splits', 'image draws')
    """
    known = [frozenset(one) for one in classes if one is not None]
    if len(classes) < 2 or len(set(known)) == len(known):
        return CLASS_SPLITS
    return IMAGE_DRAWS if len(known) == len(classes) and len(set(known)) == 1 else MIXED


def table_of(values: NDArray[np.float64], cells: Sequence[Cell]) -> NDArray[np.float64]:
    """Return (R,) values as a table of class splits and seeds, NaN where there is no run."""
    splits, seeds = ([*dict.fromkeys(part)] for part in zip(*cells, strict=True)) if cells else ([], [])
    table = np.full((len(splits), len(seeds)), np.nan)
    for (split, seed), value in zip(cells, values, strict=True):
        table[splits.index(split), seeds.index(seed)] = value
    return table
