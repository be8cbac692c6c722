"""Two levels of a factor compared: the same networks and data, on the class splits and seeds that all of them have.

Legend: R runs of a configuration, U units (class splits, or seeds), S splits, T seeds, L layers, l of them that count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.run_files import range_of
from unseen.reporting.statistics.association import spearman
from unseen.reporting.statistics.crossfit import CrossFit, at_best, cross_fit
from unseen.reporting.statistics.intervals import DIFFERENCE, SHARE, Estimate, Floats, complete, estimate
from unseen.reporting.statistics.units import Cell, Units


@dataclass(frozen=True)
class Effect:
    """A level minus the reference."""

    g: Estimate  # over units, the mean of the strata
    p: float  # two-sided; NaN below three units
    above: int  # in so many of the n units g is larger
    accuracy: Estimate  # on seen classes
    rho: float  # Spearman's, of the two mean curves over the layers; mean of the strata, NaN where layers differ
    scope: str  # what the interval holds over
    design: str  # which units
    strata: int
    corrected: float = math.nan  # for all effects of the study and the parts of the page
    written: bool = False  # whether a sentence may say that it is not zero


@dataclass(frozen=True, eq=False)
class Shared:
    """Configurations on the class splits and seeds that all of them have."""

    configs: Sequence[Configuration]
    values: list[Floats]  # (R, l) of each: the measure at the last step, layers that count
    rows: list[list[int]]  # of each: the places of the shared runs, in one order
    units: Units

    @classmethod
    def of(cls, configs: Sequence[Configuration], measure: str) -> Shared:
        """Find the runs that all configurations have, with a value of the measure at every layer that counts."""
        values, places = [], []
        names = _names_of_splits(configs)
        for config in configs:
            of_runs = config.layers("unseen", measure)[:, -1]
            used = complete(of_runs)
            values.append(of_runs[:, used.layers])
            places.append({(names[config.cells[at][0]], config.cells[at][1]): int(at) for at in used.units})
        cells: list[Cell] = [cell for cell in places[0] if all(cell in one for one in places)]
        first = configs[0]
        kind = first.kind_of_splits({first.cells[places[0][cell]][0] for cell in cells})
        rows = [[one[cell] for cell in cells] for one in places]
        return cls(configs, values, rows, Units.of(cells, kind=kind))

    @property
    def fits(self) -> list[CrossFit] | float:
        """Cross-fitted g of each configuration; of a single unit, which leaves no other to choose on, the mean g."""
        tables = [
            self.units.arrange(values[rows]) for values, rows in zip(self.values, self.rows, strict=True)
        ]
        if not self.units.cells:
            return math.nan
        if len(tables[0]) < 2:
            return float(np.mean([table.mean(axis=0).max() for table in tables]))
        return [cross_fit(table, at_best) for table in tables]

    @property
    def accuracies(self) -> Floats:
        """(U,) or (S, T) seen-class accuracy, the mean over configurations; NaN where one does not know it."""
        of_each = [
            self.units.arrange(config.accuracies[rows, -1])
            for config, rows in zip(self.configs, self.rows, strict=True)
        ]
        mean: Floats = np.mean(of_each, axis=0)
        return mean

    @property
    def accuracy(self) -> Estimate:
        """Its mean over the units."""
        return estimate(self.accuracies).within(*SHARE) if self.units.cells else Estimate()

    @property
    def curves(self) -> list[Floats]:
        """Mean over the runs of each configuration, over its layers."""
        return [values[rows].mean(axis=0) for values, rows in zip(self.values, self.rows, strict=True)]


def _names_of_splits(configs: Sequence[Configuration]) -> dict[str, str]:
    """Return a name for each split by its key, by which runs with other settings are paired.

    Where a setting changes which classes or images are drawn, as their number does, two runs share the seed that draws
    them. Where that seed does not tell the splits of a configuration apart, only runs with equal splits are paired.
    """
    names: dict[str, str] = {}
    for config in configs:
        of_config = {
            run.facts.split_hash or "": f"split seed {run.split.seed}" for run in config.runs if run.split
        }
        if len(set(of_config.values())) < len(config.splits):
            return {key: key for one in configs for key in one.splits}
        names |= of_config
    return names


def of_units(fits: list[CrossFit] | float) -> Estimate:
    """Return the mean over configurations of what `Shared.fits` returns, over the units."""
    if isinstance(fits, float):
        return Estimate(fits, n=int(not math.isnan(fits)))
    return mean_of(fits).estimate


def mean_of(fits: Sequence[CrossFit]) -> CrossFit:
    """Return the mean of scores over the same units and seeds."""
    return CrossFit(
        np.mean([fit.table for fit in fits], axis=0),
        np.mean([fit.without_unit for fit in fits], axis=0),
        np.mean([fit.without_seed for fit in fits], axis=0),
    )


def compare(firsts: Sequence[Configuration], seconds: Sequence[Configuration], measure: str) -> Effect | None:
    """Return how much larger g is in `firsts` than in `seconds`, stratum by stratum; None without a shared unit.

    Args:
        firsts: A configuration of each stratum, at one level.
        seconds: The same strata at the reference.
        measure: Whose best layer is g: nmi, ami.
    """
    both = Shared.of([*firsts, *seconds], measure)
    if not both.units.cells:
        return None
    n = len(firsts)
    one, two = (replace(both, configs=both.configs[part], values=both.values[part], rows=both.rows[part])
                for part in (slice(n), slice(n, None)))  # fmt: skip
    accuracy = estimate(one.accuracies - two.accuracies).within(*DIFFERENCE)
    rhos = [spearman(a, b).rho for a, b in zip(one.curves, two.curves, strict=True) if len(a) == len(b) > 2]
    rho = float(np.mean(rhos)) if len(rhos) == n else math.nan
    about_units = (accuracy, rho, both.units.scope, str(both.units), n)
    higher, lower = one.fits, two.fits
    if isinstance(higher, float) or isinstance(lower, float):
        assert isinstance(higher, float)
        assert isinstance(lower, float)
        return Effect(Estimate(higher - lower, n=1), math.nan, int(higher > lower), *about_units)
    found = mean_of(higher) - mean_of(lower)
    least, most = range_of(measure)
    g = found.estimate.within(least - most, most - least)
    return Effect(g, found.p, int((found.scores > 0).sum()), *about_units)
