"""One configuration: its runs, which differ only in seed and class split, and what they show at their last step.

Legend: R runs, U units of the design (class splits, or seeds), T steps, L layers. Where seeds are shared by three class
splits or more, a table of splits × seeds stands for U (`units`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from unseen.probe_table import SCORES
from unseen.reporting.layers.place import NOWHERE, Place, split_names
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.run_files import Floats, Key, range_of
from unseen.reporting.statistics.best_layer import Generalization, Lead, generalization, lead
from unseen.reporting.statistics.crossfit import Difference, difference
from unseen.reporting.statistics.design import Components, components
from unseen.reporting.statistics.intervals import (
    DIFFERENCE,
    SHARE,
    Complete,
    Estimate,
    band,
    complete,
    estimate,
    estimates,
)
from unseen.reporting.statistics.turning import Turning, turning
from unseen.reporting.statistics.units import Cell, Units, kind_of_splits, table_of
from unseen.scores import NOISE_FLOOR_PROBE, destroyed_level


class Level(NamedTuple):
    """A level that a score must be read against: (L,) values, and how they were found."""

    values: Floats
    meaning: str


@dataclass(frozen=True, eq=False)
class Configuration:
    """R runs that differ only in seed and class split; results are computed when they are first used."""

    runs: tuple[Run, ...]  # in the order of their splits and seeds
    place: Place = NOWHERE  # of any of them
    settings: Mapping[str, str] = field(default_factory=dict)  # that others of its network have otherwise
    letter: str = ""  # stands for the settings where they are too many for a label
    identifier: str = ""  # for files and anchors, the same in each report on the same runs
    contest: str = ""  # what tells its contest from others of its data set and size
    _scores: dict[Key, list[Estimate]] = field(default_factory=dict, init=False, repr=False)

    @property
    def model(self) -> str:
        """Its network."""
        return self.runs[0].facts.model

    @property
    def data(self) -> str:
        """Its data set."""
        return self.runs[0].facts.data

    @property
    def where(self) -> str:
        """Its data set, and what tells its contest from others on these."""
        return f"{self.data}, {self.contest}" if self.contest else self.data

    @property
    def size(self) -> str:
        """Size: demo or paper."""
        return self.runs[0].facts.size

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, ascending."""
        return tuple(sorted({run.facts.seed for run in self.runs}))

    @property
    def label(self) -> str:
        """Model, and what tells it from others of the model, without the data set."""
        if self.letter:
            return f"{self.model} {self.letter}"
        typed = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.model} ({typed})" if typed else self.model

    @cached_property
    def units(self) -> Units:
        """What is averaged: its class splits, or its seeds; of the compared runs, where there are any."""
        left_out = self._compared.dropped_units.tolist()
        kind = self.kind_of_splits(self.splits)
        return Units.of(self.cells, left_out if len(left_out) < len(self.runs) else (), kind)

    def kind_of_splits(self, splits: Collection[str]) -> str:
        """Return what some of its splits differ in: see `units.kind_of_splits`."""
        first = {run.facts.split_hash or "": run for run in self.runs}
        return kind_of_splits([run.split.unseen if (run := first[key]).split else None for key in splits])

    @property
    def cells(self) -> tuple[Cell, ...]:
        """(split, seed) of the R runs."""
        return tuple((run.facts.split_hash or "", run.facts.seed) for run in self.runs)

    @property
    def splits(self) -> frozenset[str]:
        """Keys of its class splits."""
        return frozenset(split for split, _ in self.cells)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """L module paths."""
        return self.runs[0].scores.layer_names

    @property
    def last_layer(self) -> int:
        """Number of the deepest layer."""
        return len(self.layer_names) - 1

    @property
    def depths(self) -> Floats:
        """(L,) normalised depth."""
        return self.runs[0].scores.depths

    @cached_property
    def steps(self) -> list[int]:
        """T steps that every run has."""
        return sorted(set.intersection(*(set(run.scores.steps.tolist()) for run in self.runs)))

    @cached_property
    def probes(self) -> frozenset[Key]:
        """(split, probe) that at least one run has."""
        return frozenset(key for run in self.runs for key in run.scores.layers)

    def layers(self, split: str, probe: str) -> Floats:
        """Return (R, T, L) scores; NaN where a run has none."""
        of_runs = [run.scores.layers.get((split, probe)) for run in self.runs]
        return self._at_steps(of_runs, len(self.layer_names))

    def pixels(self, split: str, probe: str) -> Floats:
        """Return (R, T) scores of the raw pixels; NaN where a run has none."""
        return self._at_steps([run.scores.pixels.get((split, probe)) for run in self.runs])

    @cached_property
    def accuracies(self) -> Floats:
        """(R, T) seen-class accuracy; NaN where it was not written."""
        return self._at_steps([run.scores.accuracy for run in self.runs])

    def _at_steps(self, of_runs: Sequence[Floats | None], *shape: int) -> Floats:
        missing = np.full((len(self.steps), *shape), np.nan)
        return np.stack(
            [
                missing if values is None else values[np.searchsorted(run.scores.steps, self.steps)]
                for run, values in zip(self.runs, of_runs, strict=True)
            ]
        )

    @cached_property
    def nmi(self) -> Floats:
        """(R, L) unseen NMI at the last step."""
        return self.layers("unseen", "nmi")[:, -1]

    @cached_property
    def _compared(self) -> Complete:
        """Runs and layers that are compared: every layer on the same runs."""
        return complete(self.nmi)

    @property
    def undefined(self) -> tuple[Run, ...]:
        """Runs left out of that, because they lack the NMI of a layer that most others have."""
        return tuple(self.runs[at] for at in self._compared.dropped_units)

    @property
    def compared_cells(self) -> list[Cell]:
        """(split, seed) of the compared runs."""
        return [self.cells[at] for at in self._compared.units]

    def rows_of(self, cells: Sequence[Cell]) -> list[int]:
        """Return the places of the runs with these splits and seeds."""
        return [self.cells.index(cell) for cell in cells]

    @cached_property
    def curves(self) -> Floats:
        """(U, L) unseen NMI of the units at the last step; NaN for layers and units that are not compared."""
        return self.units.arrange(self.compared_nmi)

    @cached_property
    def compared_nmi(self) -> Floats:
        """(R, L) unseen NMI at the last step; NaN for runs and layers that are not compared."""
        kept = self.nmi.copy()
        kept[self._compared.dropped_units] = np.nan
        kept[:, self._compared.dropped_layers] = np.nan
        return kept

    @property
    def per_run(self) -> Floats:
        """(R,) the largest NMI over the layers of each run; NaN for a run that is not compared."""
        return np.array([np.nan if np.isnan(nmi).all() else np.nanmax(nmi) for nmi in self.compared_nmi])

    @property
    def mean_nmi(self) -> Floats:
        """(L,) mean unseen NMI, NaN for a layer that is not compared."""
        return np.array([score.mean for score in estimates(self.curves)])

    def scores(self, split: str, probe: str) -> list[Estimate]:
        """Return L means over the units of a probe at the last step."""
        key = (split, probe)
        if key not in self._scores:
            found = estimates(self._at_end(split, probe))
            self._scores[key] = [one.within(*range_of(probe)) for one in found]
        return self._scores[key]

    def band(self, split: str, probe: str) -> list[Estimate]:
        """Return the same means with intervals that hold for all layers together."""
        return [one.within(*range_of(probe)) for one in band(self._at_end(split, probe))]

    def _at_end(self, split: str, probe: str) -> Floats:
        is_nmi = (split, probe) == ("unseen", "nmi")
        return self.curves if is_nmi else self.units.arrange(self.layers(split, probe)[:, -1])

    def of_each_unit(self, split: str, probe: str) -> list[tuple[str, Floats]]:
        """Return the name of each unit, its classes or its seed, and its (L,) scores at the last step."""
        values = self._at_end(split, probe)
        curves = values.mean(axis=1) if values.ndim == 3 else values  # of a split: the mean over its seeds
        firsts = [self.runs[unit[0]] for unit in self.units.units]
        splits = split_names(self.runs) if self.units.over == "splits" else {}
        names = [splits.get(run.facts.split_hash or "", f"seed {run.facts.seed}") for run in firsts]
        return list(zip(names, curves, strict=True))

    @property
    def is_scored(self) -> bool:
        """Whether the unseen NMI is defined at a layer of the last step, and g with it."""
        return generalization(self.curves) is not None

    @cached_property
    def g(self) -> Generalization:
        """The generalization index at the last step, as the papers define it and cross-fitted."""
        g = generalization(self.curves)
        assert g is not None
        return g.within(*SHARE)

    @property
    def score(self) -> Estimate:
        """The g by which it is compared."""
        return self.g.score

    @cached_property
    def g_of_steps(self) -> list[Estimate]:
        """T times `score`; the best layer is chosen anew at each step."""
        of_steps = [
            generalization(values)
            for values in np.moveaxis(self.units.arrange(self.layers("unseen", "nmi")), -2, 0)
        ]
        return [g.within(*SHARE).score if g else Estimate() for g in of_steps]

    @property
    def best_is_last(self) -> bool:
        """Whether no layer is above the last one in the mean."""
        return self.g.best_layer == self.last_layer

    @cached_property
    def lead(self) -> Lead:
        """How far the best layer lies above the last."""
        found = lead(self.curves)
        return replace(found, nmi=found.nmi.within(*DIFFERENCE))

    @cached_property
    def training(self) -> Difference | None:
        """Cross-fitted g at the last step minus that before training, over the units; None without a step 0."""
        if self.steps[0] != 0 or len(self.steps) < 2:
            return None
        nmi = self.units.arrange(self.layers("unseen", "nmi"))
        found = difference(nmi[..., -1, :], nmi[..., 0, :])
        return replace(found, g=found.g.within(*DIFFERENCE)) if found.g.n else None

    @cached_property
    def turning(self) -> Turning:
        """Whether the curve over the layers turns."""
        return turning(self.curves)

    @cached_property
    def accuracy_of_steps(self) -> list[Estimate]:
        """Seen-class accuracy at T steps; n = 0 where it is not known."""
        of_steps = np.moveaxis(self.units.arrange(self.accuracies), -1, 0)
        return [estimate(values).within(*SHARE) for values in of_steps]

    @property
    def accuracy(self) -> Estimate:
        """Seen-class accuracy at the last step."""
        return self.accuracy_of_steps[-1]

    @cached_property
    def over_pixels(self) -> Estimate:
        """NMI of the best layer, chosen on the other units, minus that of the raw pixels; n = 0 where not measured."""
        above = self.curves - self.units.arrange(self.pixels("unseen", "nmi")[:, -1])[..., None]
        g = generalization(above)  # what is subtracted is equal for all layers
        return g.score.within(*DIFFERENCE) if g else Estimate()

    @cached_property
    def variation(self) -> Components:
        """Variances of the NMI of the best layer over class splits and seeds."""
        return components(table_of(self.nmi[:, self.g.best_layer], self.cells))

    @cached_property
    def noise(self) -> Floats | None:
        """(L,) standard deviation of the unseen NMI over single k-means starts, None if not measured."""
        return self._last("unseen", NOISE_FLOOR_PROBE)

    @cached_property
    def image_noise(self) -> Floats | None:
        """(L,) standard deviation of the unseen NMI over resampled images, None if not measured."""
        return self._last("unseen", "nmi_image_sd")

    @cached_property
    def destroyed(self) -> list[tuple[float, Floats]]:
        """(noise level, (L,) unseen NMI) where images destroyed by noise were probed, ascending."""
        by_level = {}
        for split, probe in self.probes:
            level, values = destroyed_level(probe), self._last("unseen", probe)
            if split == "unseen" and level is not None and values is not None:
                by_level[level] = values
        return sorted(by_level.items())

    def references(self, split: str, probe: str) -> dict[str, Level]:
        """Return chance, ceiling and raw pixels of a probe at the last step, as far as they are known."""
        levels = {}
        facts = SCORES.get(probe)
        if facts and facts.chance:
            level = facts.chance.level
            chance = self._last(split, level) if isinstance(level, str) else self._all_layers(level)
            if chance is not None:
                levels["chance"] = Level(chance, facts.chance.meaning)
        ceiling = self._last(split, facts.ceiling) if facts and facts.ceiling else None
        if facts and facts.ceiling and ceiling is not None:
            levels["ceiling"] = Level(ceiling, SCORES[facts.ceiling].meaning)
        pixels = self.pixels(split, probe)[:, -1]
        if np.isfinite(pixels).any():
            levels["pixels"] = Level(self._all_layers(np.nanmean(pixels)), "the same probe on the raw pixels")
        return levels

    def _all_layers(self, level: float | np.floating[Any]) -> Floats:
        return np.full(len(self.layer_names), level)

    def _last(self, split: str, probe: str) -> Floats | None:
        """Return (L,) the mean over runs at the last step, None where no run has it."""
        means = np.array([score.mean for score in self.scores(split, probe)])
        return means if np.isfinite(means).any() else None


def shared_units(configurations: Sequence[Configuration]) -> Units:
    """Return the design of the compared runs that all configurations have, in the order of the first."""
    first, *others = configurations
    cells = [cell for cell in first.compared_cells if all(cell in other.compared_cells for other in others)]
    return Units.of(cells, kind=first.kind_of_splits({split for split, _ in cells}))
