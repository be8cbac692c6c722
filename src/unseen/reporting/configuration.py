"""One configuration: its runs, which differ only in their seed, and what they show at their last step.

Legend: R runs (seeds), T steps, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from unseen.probe_table import SCORES
from unseen.reporting.collect import Run
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
from unseen.scores import NOISE_FLOOR_PROBE, destroyed_level


class Level(NamedTuple):
    """A level that a score must be read against: (L,) values, and how they were found."""

    values: Floats
    meaning: str


@dataclass(frozen=True, eq=False)
class Configuration:
    """R runs that differ only in their seed; results are computed when they are first used."""

    runs: tuple[Run, ...]  # in the order of their seeds
    # settings in which it differs from others of its model, data and size, as typed
    variant: tuple[str, ...] = ()
    identifier: str = ""  # for files and anchors, the same in each report on the same runs
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
    def size(self) -> str:
        """Size: demo or paper."""
        return self.runs[0].facts.size

    @property
    def seeds(self) -> tuple[int, ...]:
        """The R seeds, ascending."""
        return tuple(run.facts.seed for run in self.runs)

    @property
    def label(self) -> str:
        """Model and variant, without the data set."""
        return f"{self.model} ({', '.join(self.variant)})" if self.variant else self.model

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

    @property
    def mean_nmi(self) -> Floats:
        """(L,) mean unseen NMI of the layers that every run has, NaN for others."""
        return np.asarray(self.nmi.mean(axis=0))

    def scores(self, split: str, probe: str) -> list[Estimate]:
        """Return L means over the runs of a probe at the last step."""
        key = (split, probe)
        if key not in self._scores:
            self._scores[key] = estimates(self.layers(split, probe)[:, -1])
        return self._scores[key]

    @property
    def is_scored(self) -> bool:
        """Whether the unseen NMI is defined at a layer of the last step, and g with it."""
        return bool(np.isfinite(self.mean_nmi).any())

    @cached_property
    def g(self) -> Generalization:
        """The generalization index at the last step, both ways."""
        g = generalization(self.nmi)
        assert g is not None
        return g

    @cached_property
    def g_of_steps(self) -> list[Estimate]:
        """T times g as the papers average it; the best layer is chosen anew at each step."""
        of_steps = map(generalization, self.layers("unseen", "nmi").swapaxes(0, 1))
        return [g.of_mean if g else Estimate() for g in of_steps]

    @property
    def best_is_last(self) -> bool:
        """Whether no layer is above the last one."""
        return self.g.best_layer == self.last_layer

    @cached_property
    def accuracy_of_steps(self) -> list[Estimate]:
        """Seen-class accuracy at T steps; n = 0 where it is not known."""
        return estimates(self.accuracies)

    @property
    def accuracy(self) -> Estimate:
        """Seen-class accuracy at the last step."""
        return self.accuracy_of_steps[-1]

    @cached_property
    def over_last(self) -> Estimate:
        """NMI of the best layer minus that of the last layer, paired by run; zero where the best is the last."""
        return estimate(self.nmi[:, self.g.best_layer] - self.nmi[:, -1])

    @cached_property
    def over_pixels(self) -> Estimate:
        """NMI of the best layer minus that of the raw pixels, paired by run; n = 0 where not measured."""
        return estimate(self.nmi[:, self.g.best_layer] - self.pixels("unseen", "nmi")[:, -1])

    @cached_property
    def trend(self) -> RankAgreement:
        """Spearman's rho of layer number and mean NMI."""
        return spearman(range(len(self.layer_names)), self.mean_nmi)

    @cached_property
    def shape(self) -> DepthShape:
        """Rises and falls of the NMI over the layers."""
        return depth_shape(self.nmi, self.noise)

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
