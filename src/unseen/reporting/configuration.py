"""One configuration: its runs, which differ only in seed and class split, and what they show at their last step.

Legend: R runs, U units of the design (class splits, or seeds), T steps, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from unseen.probe_table import SCORES
from unseen.reporting.collect import Run
from unseen.reporting.place import NOWHERE, Place
from unseen.reporting.run_files import Floats, Key
from unseen.reporting.statistics import (
    DepthShape,
    Estimate,
    Generalization,
    RankAgreement,
    depth_shape,
    estimate,
    estimates,
    generalization,
    spearman,
)
from unseen.reporting.units import Cell, Units
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
    def design(self) -> Units:
        """Its splits and seeds."""
        return Units.of(self.cells)

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
    def undefined(self) -> tuple[Run, ...]:
        """Runs that lack the NMI of a layer that others have; layers are compared on the other runs only."""
        lacks = np.any(np.isnan(self.nmi) & np.isfinite(self.nmi).any(axis=0), axis=1).tolist()  # R
        return () if all(lacks) else tuple(run for run, lack in zip(self.runs, lacks, strict=True) if lack)

    @cached_property
    def curves(self) -> Floats:
        """(U, L) unseen NMI of the units at the last step, every layer on the same runs."""
        return self._units(self.nmi)

    def _units(self, values: Floats) -> Floats:
        """Return (U, ...) means of (R, ...) values, without the runs that lack a layer."""
        kept = np.array([run not in self.undefined for run in self.runs])
        units = self.design.average(np.where(kept.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan))
        return units[np.isfinite(units.reshape(len(units), -1)).any(axis=1)]

    @property
    def mean_nmi(self) -> Floats:
        """(L,) mean unseen NMI of the layers that every unit has, NaN for others."""
        return self.curves.mean(axis=0) if len(self.curves) else np.full(len(self.layer_names), np.nan)

    @cached_property
    def per_run(self) -> Floats:
        """(R,) the largest NMI over the layers of each run, NaN for a run that lacks one."""
        layers = np.isfinite(self.mean_nmi)
        largest = self.nmi[:, layers].max(axis=1)
        return np.where([run in self.undefined for run in self.runs], np.nan, largest)

    def scores(self, split: str, probe: str) -> list[Estimate]:
        """Return L means over the runs of a probe at the last step."""
        key = (split, probe)
        if key not in self._scores:
            values = self.layers(split, probe)[:, -1]
            of_units = self._units(values) if key == ("unseen", "nmi") else self.design.average(values)
            self._scores[key] = estimates(of_units)
        return self._scores[key]

    @property
    def is_scored(self) -> bool:
        """Whether the unseen NMI is defined at a layer of the last step, and g with it."""
        return bool(np.isfinite(self.mean_nmi).any())

    @cached_property
    def g(self) -> Generalization:
        """The generalization index at the last step, both ways."""
        g = generalization(self.curves)
        assert g is not None
        return g

    @cached_property
    def g_of_steps(self) -> list[Estimate]:
        """T times g as the papers average it; the best layer is chosen anew at each step."""
        of_steps = map(generalization, self._units(self.layers("unseen", "nmi")).swapaxes(0, 1))
        return [g.of_mean if g else Estimate() for g in of_steps]

    @property
    def best_is_last(self) -> bool:
        """Whether no layer is above the last one."""
        return self.g.best_layer == self.last_layer

    @cached_property
    def accuracy_of_steps(self) -> list[Estimate]:
        """Seen-class accuracy at T steps; n = 0 where it is not known."""
        return estimates(self.design.average(self.accuracies))

    @property
    def accuracy(self) -> Estimate:
        """Seen-class accuracy at the last step."""
        return self.accuracy_of_steps[-1]

    @cached_property
    def over_last(self) -> Estimate:
        """NMI of the best layer minus that of the last layer, paired by run; zero where the best is the last."""
        return estimate(self.curves[:, self.g.best_layer] - self.curves[:, -1])

    @cached_property
    def over_pixels(self) -> Estimate:
        """NMI of the best layer minus that of the raw pixels, paired by run; n = 0 where not measured."""
        of_runs = self.nmi[:, self.g.best_layer] - self.pixels("unseen", "nmi")[:, -1]
        return estimate(self._units(of_runs[:, None])[:, 0])

    @cached_property
    def trend(self) -> RankAgreement:
        """Spearman's rho of layer number and mean NMI."""
        return spearman(range(len(self.layer_names)), self.mean_nmi)

    @cached_property
    def shape(self) -> DepthShape:
        """Rises and falls of the NMI over the layers."""
        return depth_shape(self.curves, self.noise)

    @cached_property
    def noise(self) -> Floats | None:
        """(L,) standard deviation of the unseen NMI over single k-means starts, None if not measured."""
        return self._last("unseen", NOISE_FLOOR_PROBE)

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
