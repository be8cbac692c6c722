"""What a rule that chooses a layer costs: its regret, against always the last and always the penultimate layer.

The regret of a rule in a run is the NMI of the unseen classes at the run's best layer minus that at the layer that the
rule chooses. The best of L measured layers is above the best true one, so every rule's regret is a little too large, by
the same amount; differences of rules are not.

Runs are averaged in the order in which they depend on each other: the networks of a data set share its class splits, so
a split's value is the mean over networks; a unit is one split of one data set. The networks and the data sets count as
given: nothing is said about others.

Legend: R runs of a configuration, L layers, S class splits, T seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.layers.analysis import Contest
from unseen.reporting.layers.configuration import Configuration, shared_units
from unseen.reporting.statistics.claims import Change, with_verdicts
from unseen.reporting.statistics.crossed import Error
from unseen.reporting.statistics.intervals import (
    DIFFERENCE,
    FEWEST,
    SHARE,
    Estimate,
    Floats,
    complete,
    estimate,
    mean_with_error,
    two_sided_p,
)
from unseen.reporting.statistics.units import CLASS_SPLITS, Units
from unseen.selector_table import SELECTORS
from unseen.wording import count

LAST, PENULTIMATE, RANDOM = "always the last layer", "always the penultimate layer", "a layer at random"
OTHER_SPLITS = "best layer of other splits"
BASELINES = (LAST, PENULTIMATE)
_NONE = -1  # a run in which a rule takes no layer
Rule = Callable[[Configuration], NDArray[np.intp]]  # (R,) the layer that it takes in each run


@dataclass(frozen=True)
class Choice:
    """One rule."""

    name: str
    reads: str  # what it is computed from
    runs: int
    best_in: int | None  # in how many of them it takes the best layer; None of a layer at random
    regret: Estimate
    gains: tuple[
        Change, ...
    ]  # NMI minus that of BASELINES, in the same runs; () of these and of a random layer


@dataclass(frozen=True)
class Taken:
    """What a rule took in one run."""

    rule: str
    config: Configuration
    run: int  # its place among the runs of the configuration
    layer: int
    nmi: float
    regret: float


@dataclass(frozen=True)
class LayerChoice:
    """All rules, least regret first; without any where no run has scores of a selector."""

    choices: tuple[Choice, ...] = ()
    single: tuple[Taken, ...] = ()
    runs: str = ""  # how many of which
    scope: str = ""  # what a result holds over


def has_selectors(config: Configuration) -> bool:
    """Return whether any of its runs has scores of a selector."""
    return any(_values(config, name) is not None for name in _COMPUTED)


def layer_choice(contests: Sequence[Contest], parts: int = 1) -> LayerChoice:
    """Return the regret of every rule.

    Of several contests on one data set, whose runs may be the same networks, that with the most runs counts.

    Args:
        contests: All of the page.
        parts: Of the page, which share its errors (`claims`).
    """
    of_data: dict[str, Contest] = {}
    for contest in contests:
        known = of_data.get(contest.data)
        if any(map(has_selectors, contest.configurations)) and (
            known is None or _number_of_runs(contest) > _number_of_runs(known)
        ):
            of_data[contest.data] = contest
    designs = [design for contest in of_data.values() if (design := _Design.of(contest)).units.cells]
    if not designs:
        return LayerChoice()
    rules = _rules()
    nmi = {name: [_nmi(design, rule) for design in designs] for name, (_, rule) in rules.items()}
    nmi[RANDOM] = [[_at_random(design, config) for config in design.configurations] for design in designs]
    best = [
        [design.of_runs(config, config.per_run) for config in design.configurations] for design in designs
    ]
    reads = {name: text for name, (text, _) in rules.items()} | {RANDOM: "nothing"}
    found = [made for name in reads if (made := _choice(name, reads[name], nmi, best, designs)).runs]
    found.sort(key=lambda one: one.regret.mean)
    judged = iter(with_verdicts([gain for one in found for gain in one.gains], parts))
    choices = [replace(one, gains=tuple(next(judged) for _ in one.gains)) for one in found]
    scope = "; ".join(dict.fromkeys(design.units.scope for design in designs))
    single = _single({name: rule for name, (_, rule) in rules.items()}, designs)
    return LayerChoice(tuple(choices), tuple(single), ", ".join(map(str, designs)), scope)


# ------------------------------------------------------------------ rules
_COMPUTED = tuple(name for name, selector in SELECTORS.items() if selector.function)


def _rules() -> dict[str, tuple[str, Rule]]:
    """Return what each rule reads, and the rule."""
    rules: dict[str, tuple[str, Rule]] = {
        LAST: ("nothing", lambda config: _of_place(config, -1)),
        PENULTIMATE: ("nothing", lambda config: _of_place(config, -2)),
        OTHER_SPLITS: (
            "networks trained on other classes, and labels of the classes withheld there",
            _of_other_splits,
        ),
    }
    for name, selector in SELECTORS.items():
        of = "seen test images and labels" if selector.split == "seen" else "unseen images"
        rules[selector.rule] = (of, lambda config, name=name: _of_selector(config, name))  # type: ignore[misc]
    return rules


def _layers(config: Configuration) -> NDArray[np.intp]:
    """Return the layers that are compared, shallow to deep."""
    return np.flatnonzero(np.isfinite(config.compared_nmi).any(axis=0))


def _of_place(config: Configuration, place: int) -> NDArray[np.intp]:
    """Return the layer so many from the end; the first, where there are fewer."""
    layers = _layers(config)
    return np.full(len(config.runs), layers[max(place, -len(layers))])


def _of_selector(config: Configuration, name: str) -> NDArray[np.intp]:
    values = _values(config, name)
    return np.full(len(config.runs), _NONE) if values is None else _largest(config, values)


def _of_other_splits(config: Configuration) -> NDArray[np.intp]:
    """Choose by the mean NMI of the runs that share neither split nor seed; with one seed, of the other splits."""
    nmi = config.compared_nmi
    means, known = np.full_like(nmi, np.nan), set(config.compared_cells)
    if config.kind_of_splits(config.splits) == CLASS_SPLITS:
        for at, (split, seed) in enumerate(config.cells):
            others = [
                place
                for place, cell in enumerate(config.cells)
                if cell in known and cell[0] != split and (cell[1] != seed or len(config.seeds) == 1)
            ]
            if others:
                means[at] = nmi[others].mean(axis=0)
    return _largest(config, means)


def _values(config: Configuration, name: str) -> Floats | None:
    """Return (R, L) scores at the last step, the larger the better; None where no run has any."""
    selector = SELECTORS[name]
    if (selector.split, selector.row) not in config.probes:
        return None
    values = config.layers(selector.split, selector.row)[:, -1]
    return values if selector.larger_is_better else -values


def _largest(config: Configuration, values: Floats) -> NDArray[np.intp]:
    """Return the shallowest layer of the largest of the (R, L) values in each run."""
    usable: NDArray[np.bool_] = np.isfinite(values) & np.isin(np.arange(values.shape[1]), _layers(config))
    return np.where(usable.any(axis=1), np.where(usable, values, -np.inf).argmax(axis=1), _NONE)


# ------------------------------------------------------------------ runs
@dataclass(frozen=True, eq=False)
class _Design:
    """The runs of one contest that count: the splits and seeds that all its networks have."""

    configurations: tuple[Configuration, ...]
    units: Units  # of all its cells

    @classmethod
    def of(cls, contest: Contest) -> _Design:
        shared = shared_units(contest.configurations)
        return cls(contest.configurations, Units.of(shared.counted, kind=shared.kind))

    def __str__(self) -> str:
        members = self.configurations
        noun = "network" if len({config.model for config in members}) == len(members) else "configuration"
        return f"{count(len(members), noun)} on {members[0].data} ({self.units})"

    def places(self, config: Configuration) -> list[int]:
        """Return the places of its runs, in the order of the units' cells."""
        return config.rows_of(self.units.cells)

    def of_runs(self, config: Configuration, values: Floats) -> Floats:
        """Return the values of these runs."""
        return values[self.places(config)]


def _number_of_runs(contest: Contest) -> int:
    return sum(len(config.runs) for config in contest.configurations)


def _nmi(design: _Design, rule: Rule) -> list[Floats]:
    """Return for each network the NMI of the layers that a rule takes, (R,); NaN where it takes none."""
    found = []
    for config in design.configurations:
        taken = rule(config)
        nmi = np.take_along_axis(config.compared_nmi, taken[:, None], axis=1)[:, 0]
        found.append(design.of_runs(config, np.where(taken == _NONE, np.nan, nmi)))
    return found


def _at_random(design: _Design, config: Configuration) -> Floats:
    return design.of_runs(config, config.compared_nmi[:, _layers(config)].mean(axis=1))


def _choice(
    name: str,
    reads: str,
    nmi: Mapping[str, Sequence[Sequence[Floats]]],
    best: Sequence[Sequence[Floats]],
    designs: Sequence[_Design],
) -> Choice:
    """Return a rule, over the networks in all of whose runs it takes a layer."""
    regrets = [
        [top - mine for top, mine in zip(*of, strict=True)] for of in zip(best, nmi[name], strict=True)
    ]
    every = np.concatenate([one for of in regrets for one in of if np.isfinite(one).all()] or [np.empty(0)])
    gains = [
        _gain(
            _stacked(
                designs,
                [[a - b for a, b in zip(*of, strict=True)] for of in zip(nmi[name], nmi[other], strict=True)],
            )
        )
        for other in (() if name in (*BASELINES, RANDOM) else BASELINES)
    ]
    best_in = None if name == RANDOM else int((every == 0).sum())
    return Choice(
        name, reads, len(every), best_in, estimate(_stacked(designs, regrets)).within(*SHARE), tuple(gains)
    )


def _stacked(designs: Sequence[_Design], values: Sequence[Sequence[Floats]]) -> Floats:
    """Return the mean over networks of each unit of all data sets: (U,), or (U, T) where all share so many seeds."""
    tables = []
    for design, of_networks in zip(designs, values, strict=True):
        whole = [one for one in of_networks if np.isfinite(one).all()]
        if whole:
            tables.append(design.units.arrange(np.mean(whole, axis=0)))
    if len({table.shape[1:] for table in tables}) > 1:
        tables = [table.mean(axis=1) if table.ndim == 2 else table for table in tables]
    return np.concatenate(tables) if tables else np.empty(0)


def _gain(values: Floats) -> Change:
    used = complete(values[..., None])
    n = len(used.units)
    if n < FEWEST:
        return Change(estimate(values).within(*DIFFERENCE), math.nan)
    (mean,), error = mean_with_error(used.values)
    parts = (error.units, error.df, error.seeds, error.df_seeds)
    one = Error(*(float(np.squeeze(part)) for part in parts))
    return Change(estimate(values).within(*DIFFERENCE), two_sided_p(float(mean), one, n))


def _single(rules: Mapping[str, Rule], designs: Sequence[_Design]) -> list[Taken]:
    found = []
    for design in designs:
        for config in design.configurations:
            nmi, top = config.compared_nmi, config.per_run
            for name, rule in rules.items():
                layers = rule(config)
                found += [
                    Taken(name, config, run, int(layers[run]), float(nmi[run, layers[run]]),
                          float(top[run] - nmi[run, layers[run]]))
                    for run in design.places(config) if layers[run] != _NONE
                ]  # fmt: skip
    return found
