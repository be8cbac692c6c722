"""What the runs say: each setting by itself, the settings of one data set against each other, data sets compared.

Legend: R runs (seeds), T steps, L layers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unseen.reporting.associations import RankAgreement, holm, rank_agreement, sign_flip_p
from unseen.reporting.groups import RunGroup
from unseen.reporting.probe_facts import noise_floor
from unseen.reporting.records import Floats, Key
from unseen.reporting.statistics import (
    DepthShape,
    Estimate,
    Estimates,
    Generalization,
    at_depths,
    depth_shape,
    estimate,
    estimates,
    generalization,
    paired_difference,
)

_ALL_PAIRS_UP_TO = 12  # groups of one data set; beyond, each is compared with the best only


@dataclass(frozen=True, eq=False)
class Setting:
    """One group of runs and what it says at its last step.

    Attributes:
        group: The runs.
        g: Both ways, at the last step.
        g_of_steps: (T,) g as the papers average it, at every step; the best layer is chosen anew at each.
        accuracy: Seen-class accuracy at the last step; n = 0 where it is not known.
        accuracy_of_steps: (T,) at every step.
        over_last: NMI of the best layer minus that of the last layer, paired; zero where the best is the last.
        over_pixels: NMI of the best layer minus that of the raw pixels; n = 0 where not measured.
        trend: Rank agreement of depth and the mean NMI.
        shape: Turns of the NMI curve.
        noise: (L,) standard deviation of the NMI over k-means starts, None if not measured.
    """

    group: RunGroup
    g: Generalization
    g_of_steps: Estimates
    accuracy: Estimate
    accuracy_of_steps: Estimates
    over_last: Estimate
    over_pixels: Estimate
    trend: RankAgreement
    shape: DepthShape
    noise: Floats | None

    @cached_property
    def _estimates(self) -> dict[Key, Estimates]:
        return {}

    def scores(self, split: str, probe: str) -> Estimates:
        """Return (L,) means over the runs of a probe at the last step; worked out once."""
        key = (split, probe)
        if key not in self._estimates:
            self._estimates[key] = estimates(self.group.layers(split, probe)[:, -1])
        return self._estimates[key]

    @property
    def last_layer(self) -> int:
        """Number of the deepest layer."""
        return len(self.group.layer_names) - 1

    @property
    def best_is_last(self) -> bool:
        """Whether no layer is above the last one."""
        return self.g.best_layer == self.last_layer


@dataclass(frozen=True)
class Difference:
    """Two settings of one data set, compared over the seeds that both have.

    Attributes:
        first: The one with the larger mean.
        second: The other.
        g: first - second of the per-run g.
        p: Two-sided sign-flip p, corrected by Holm for all pairs of the data set; NaN where n is 0.
        agree: In how many of the shared seeds the first is above.
    """

    first: Setting
    second: Setting
    g: Estimate
    p: float
    agree: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return self.g.low > 0 or self.g.high < 0


@dataclass(frozen=True, eq=False)
class Contest:
    """The settings of one data set and size, which may be compared.

    Attributes:
        data: Data set.
        size: demo or paper.
        settings: Best g first.
        accuracy_and_g: Rank agreement of accuracy and g over the settings.
        differences: Paired differences of g.
    """

    data: str
    size: str
    settings: tuple[Setting, ...]
    accuracy_and_g: RankAgreement
    differences: tuple[Difference, ...]

    @property
    def winner(self) -> Setting:
        """The setting with the largest g."""
        return self.settings[0]


@dataclass(frozen=True)
class Transfer:
    """One network's NMI curve on two data sets.

    Attributes:
        label: The network.
        size: demo or paper.
        first: A data set.
        second: The other.
        agreement: Rank agreement of the curves at equal depths.
        agreement_p: Its Spearman p, corrected by Holm for all rows.
        difference: Mean of first - second over the layers.
        difference_p: Sign-flip p of the differences over layers, corrected by Holm for all rows.
        layers: Depths that were compared.
        seeds: Runs behind each of the two curves.
    """

    label: str
    size: str
    first: str
    second: str
    agreement: RankAgreement
    agreement_p: float
    difference: float
    difference_p: float
    layers: int
    seeds: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that the report states.

    Attributes:
        contests: One for each data set and size, those with most settings first.
        transfers: Agreement between data sets.
        unscored: Labels of groups whose NMI is undefined at every layer.
    """

    contests: tuple[Contest, ...]
    transfers: tuple[Transfer, ...]
    unscored: tuple[str, ...]

    @property
    def settings(self) -> list[Setting]:
        """All settings, contest by contest."""
        return [setting for contest in self.contests for setting in contest.settings]


def analyse(groups: Sequence[RunGroup]) -> Analysis:
    """Return what groups of finished runs say."""
    found = [(group, analyse_group(group)) for group in groups]
    settings = [setting for _, setting in found if setting]
    by_place: dict[tuple[str, str], list[Setting]] = {}
    for setting in settings:
        by_place.setdefault((setting.group.data, setting.group.size), []).append(setting)
    contests = [_contest(data, size, members) for (data, size), members in by_place.items()]
    contests.sort(key=lambda contest: (contest.size != "paper", -len(contest.settings), contest.data))
    unscored = tuple(f"{group.label} on {group.data}" for group, setting in found if setting is None)
    return Analysis(tuple(contests), tuple(_transfers(settings)), unscored)


def analyse_group(group: RunGroup) -> Setting | None:
    """Return what one group says; None where the NMI is undefined at every layer of the last step."""
    nmi = group.layers("unseen", "nmi")  # (R, T, L)
    last = nmi[:, -1]  # (R, L)
    g = generalization(last)
    if g is None:
        return None
    noise = noise_floor(group)
    best = last[:, g.best_layer]
    per_step = [generalization(nmi[:, place]) for place in range(len(group.steps))]
    return Setting(
        group=group,
        g=g,
        g_of_steps=_stack([found.of_mean if found else None for found in per_step]),
        accuracy=estimate(group.accuracy[:, -1]),
        accuracy_of_steps=estimates(group.accuracy),
        over_last=paired_difference(best, last[:, -1]),
        over_pixels=paired_difference(best, group.pixels("unseen", "nmi")[:, -1]),
        trend=rank_agreement(np.arange(last.shape[1], dtype=float), _mean(last)),
        shape=depth_shape(last, noise),
        noise=noise,
    )


def _stack(found: Sequence[Estimate | None]) -> Estimates:
    rows = [one or Estimate(math.nan, math.nan, math.nan, math.nan, 0) for one in found]
    mean, std, low, high = np.array([[row.mean, row.std, row.low, row.high] for row in rows]).T
    return Estimates(mean, std, low, high, np.array([row.n for row in rows]))


def _mean(values: Floats) -> Floats:
    """Return (L,) means of the layers that every run has, NaN for others."""
    return np.asarray(values.mean(axis=0), dtype=float)


def _contest(data: str, size: str, members: Sequence[Setting]) -> Contest:
    ranked = sorted(members, key=lambda setting: (-setting.g.of_mean.mean, setting.group.label))
    agreement = rank_agreement(
        [setting.accuracy.mean for setting in ranked], [setting.g.of_mean.mean for setting in ranked]
    )
    return Contest(data, size, tuple(ranked), agreement, tuple(_differences(ranked)))


def _differences(ranked: Sequence[Setting]) -> list[Difference]:
    pairs = list(itertools.combinations(ranked, 2))
    if len(ranked) > _ALL_PAIRS_UP_TO:
        pairs = [(ranked[0], other) for other in ranked[1:]]
    per_run = {id(setting): _g_by_seed(setting) for setting in ranked}
    found = []
    for first, second in pairs:
        a, b = per_run[id(first)], per_run[id(second)]
        shared = [seed for seed in a if seed in b]
        found.append((first, second, np.array([a[seed] - b[seed] for seed in shared])))
    corrected = holm([sign_flip_p(steps) for _, _, steps in found])
    return [
        Difference(first, second, estimate(steps), p, int((steps > 0).sum()))
        for (first, second, steps), p in zip(found, corrected, strict=True)
    ]


def _g_by_seed(setting: Setting) -> dict[int, float]:
    nmi = setting.group.layers("unseen", "nmi")[:, -1]
    usable = nmi[:, np.isfinite(nmi).all(axis=0)]
    return dict(zip(setting.group.seeds, usable.max(axis=1).tolist(), strict=True))


def _transfers(settings: Sequence[Setting]) -> list[Transfer]:
    """Compare the curves of each network between the data sets on which it was run with the same settings."""
    by_network: dict[tuple[str, str, str], dict[str, Setting]] = {}
    for setting in settings:
        group = setting.group
        script = group.runs[0].entry
        by_data = by_network.setdefault((group.label, group.size, script), {})
        by_data.setdefault(group.data, setting)
    found = []
    for (label, size, _), by_data in by_network.items():
        for (first, a), (second, b) in itertools.combinations(sorted(by_data.items()), 2):
            left, right = _curves(a, b)
            both = np.isfinite(left) & np.isfinite(right)
            steps = left[both] - right[both]
            seeds = (len(a.group.runs), len(b.group.runs))
            found.append((label, size, first, second, rank_agreement(left, right), steps, seeds))
    agreement_p = holm([row[4].spearman_p for row in found])
    difference_p = holm([sign_flip_p(row[5]) for row in found])
    return [
        Transfer(label, size, first, second, agreement, rank_p, _mean_of(steps), flip_p, len(steps), seeds)
        for (label, size, first, second, agreement, steps, seeds), rank_p, flip_p in zip(
            found, agreement_p, difference_p, strict=True
        )
    ]


def _curves(a: Setting, b: Setting) -> tuple[Floats, Floats]:
    """Return the mean NMI of two settings at the depths of the one with fewer layers."""
    left, right = (_mean(setting.group.layers("unseen", "nmi")[:, -1]) for setting in (a, b))
    if len(left) <= len(right):
        return left, at_depths(right, b.group.depths, a.group.depths)
    return at_depths(left, a.group.depths, b.group.depths), right


def _mean_of(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan
