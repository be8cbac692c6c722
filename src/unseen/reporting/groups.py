"""Runs that differ only in their seed, put together.

Legend: R runs (seeds), T steps, L layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.records import Floats, LeftOut, Run
from unseen.reporting.rescored import merge_rescored
from unseen.reporting.settings import flat_settings
from unseen.reporting.texts import digest, file_name

_LONGEST_VALUE = 100  # characters of a setting in a label
_SHARED = ("data.", "probe.", "trainer.max_steps", "trainer.max_epochs", "(classes)", "(images)", "(script)")


@dataclass(frozen=True, eq=False)
class RunGroup:
    """R runs of one setting.

    Attributes:
        runs: In the order of their seeds.
        variant: Settings in which it differs from other groups of this model, data and size, as typed.
    """

    runs: tuple[Run, ...]
    variant: tuple[str, ...] = field(default=())

    @property
    def model(self) -> str:
        """Its network."""
        return self.runs[0].model

    @property
    def data(self) -> str:
        """Its data set."""
        return self.runs[0].data

    @property
    def size(self) -> str:
        """Size: demo or paper."""
        return self.runs[0].size

    @property
    def seeds(self) -> tuple[int, ...]:
        """The R seeds, ascending."""
        return tuple(run.seed for run in self.runs)

    @property
    def label(self) -> str:
        """Model and variant, without the data set."""
        return f"{self.model} ({', '.join(self.variant)})" if self.variant else self.model

    @property
    def identifier(self) -> str:
        """A short name for files and anchors, the same in each report on the same runs."""
        setting = json.dumps(flat_settings(self.runs[0]), sort_keys=True)
        return f"{file_name(f'{self.model}-{self.data}-{self.size}')}-{digest(setting)}"

    @property
    def layer_names(self) -> tuple[str, ...]:
        """L module paths."""
        return self.runs[0].scores.layer_names

    @property
    def depths(self) -> Floats:
        """(L,) normalised depth."""
        return self.runs[0].scores.depths

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """(T,) steps that every run has."""
        shared = set(self.runs[0].scores.steps.tolist())
        for run in self.runs[1:]:
            shared &= set(run.scores.steps.tolist())
        return np.array(sorted(shared), dtype=np.int64)

    @cached_property
    def probes(self) -> frozenset[tuple[str, str]]:
        """(split, probe) that at least one run has."""
        return frozenset(key for run in self.runs for key in run.scores.layers)

    def layers(self, split: str, probe: str) -> Floats:
        """Return (R, T, L) scores; NaN where a run has none."""
        shape = (len(self.steps), len(self.layer_names))
        return np.stack(
            [
                run.scores.layers[split, probe][_places(run, self.steps)]
                if (split, probe) in run.scores.layers
                else np.full(shape, np.nan)
                for run in self.runs
            ]
        )

    def pixels(self, split: str, probe: str) -> Floats:
        """Return (R, T) scores of the raw pixels; NaN where a run has none."""
        return np.stack(
            [
                run.scores.pixels[split, probe][_places(run, self.steps)]
                if (split, probe) in run.scores.pixels
                else np.full(len(self.steps), np.nan)
                for run in self.runs
            ]
        )

    @cached_property
    def accuracy(self) -> Floats:
        """(R, T) seen-class accuracy; NaN where it was not written."""
        return np.stack([run.scores.accuracy[_places(run, self.steps)] for run in self.runs])


def group_runs(runs: Iterable[Run]) -> tuple[tuple[RunGroup, ...], tuple[LeftOut, ...]]:
    """Put runs together that differ only in their seed.

    Returns:
        The groups, ordered by data, size and label; and runs left out because they score another run's network again,
        or because the group has their seed already or shares no scored step with them.
    """
    by_setting: dict[str, list[Run]] = {}
    settings: dict[str, dict[str, str]] = {}
    counted, rescored = merge_rescored(list(runs))
    for run in counted:
        found = flat_settings(run)
        key = json.dumps(found, sort_keys=True)
        by_setting.setdefault(key, []).append(run)
        settings[key] = found
    variants = _variants(by_setting, settings)
    groups: list[RunGroup] = []
    left_out = list(rescored)
    for key, members in by_setting.items():
        kept, dropped = _one_each_seed(members)
        left_out += dropped
        groups.append(RunGroup(tuple(kept), variants[key]))
    return tuple(sorted(groups, key=lambda group: (group.data, group.size, group.label))), tuple(left_out)


def unlike(groups: Sequence[RunGroup]) -> tuple[str, ...]:
    """Return in which settings of data, probing and training length groups differ that are compared with each other.

    A network's own settings may differ; these should not.
    """
    found = [flat_settings(group.runs[0]) for group in groups]
    names = sorted({name for one in found for name in one if name.startswith(_SHARED) or name in _SHARED})
    texts = []
    for name in names:
        values = sorted({_plain(one.get(name)) for one in found})
        if len(values) > 1:
            texts.append(f"{name.strip('()')} is {' or '.join(values)}")
    return tuple(texts)


def _variants(
    by_setting: dict[str, list[Run]], settings: dict[str, dict[str, str]]
) -> dict[str, tuple[str, ...]]:
    """Name each group by the settings in which the groups of one model, data and size differ."""
    families: dict[tuple[str, str, str], list[str]] = {}
    for key, members in by_setting.items():
        families.setdefault((members[0].model, members[0].data, members[0].size), []).append(key)
    found: dict[str, tuple[str, ...]] = {}
    for keys in families.values():
        names = sorted({name for key in keys for name in settings[key]})
        differing = [name for name in names if len({settings[key].get(name) for key in keys}) > 1]
        for key in keys:
            found[key] = tuple(
                f"{name.strip('()')}={_plain(settings[key].get(name))}"
                for name in _telling(differing, settings, keys)
            )
    return found


def _telling(differing: Sequence[str], settings: dict[str, dict[str, str]], keys: Sequence[str]) -> list[str]:
    """Return the differing settings without those that only repeat another (an interpolation of it)."""
    kept: list[str] = []
    patterns: set[tuple[int, ...]] = set()
    for name in sorted(
        differing, key=lambda name: (name.startswith(("recipe.", "callbacks.", "(")), name.count("."))
    ):
        values = [settings[key].get(name) for key in keys]
        pattern = tuple(values.index(value) for value in values)
        if pattern not in patterns:
            patterns.add(pattern)
            kept.append(name)
    return kept


def _plain(value: str | None) -> str:
    if value is None:
        return "(absent)"
    text = value.strip('"')
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… #{digest(text)}"


def _one_each_seed(members: Sequence[Run]) -> tuple[list[Run], list[LeftOut]]:
    newest: dict[int, Run] = {}
    dropped: list[tuple[Run, str]] = []
    for run in sorted(members, key=lambda run: (run.facts.written or "", run.name)):
        if run.seed in newest:
            dropped.append(
                (newest[run.seed], f"the same setting and seed were run again: {run.name} is used")
            )
        newest[run.seed] = run
    kept: list[Run] = []
    for run in sorted(newest.values(), key=lambda run: run.seed):
        shared = set(run.scores.steps.tolist()).intersection(
            *(set(other.scores.steps.tolist()) for other in kept)
        )
        if shared:
            kept.append(run)
        else:
            dropped.append((run, "it shares no scored step with the other seeds of its setting"))
    return kept, [
        LeftOut(run.name, "duplicate", reason, run.model, run.data, run.size, str(run.seed))
        for run, reason in dropped
    ]


def _places(run: Run, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(run.scores.steps, steps)
