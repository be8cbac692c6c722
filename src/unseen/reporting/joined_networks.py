"""g, seen accuracy, biases and transfer scores of the same networks, and whether a bias goes with g over networks.

A point is a network of a contest: its runs with another seed or class split are averaged first, on the splits and seeds
that all joined networks have. A run of biases.py belongs to the training whose network, classes, seed and g it names; a
run of transfer.py to the network whose weights its image tower has, before the network was fine-tuned.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np

from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.biases.section_tables import columns_of
from unseen.reporting.layers.analysis import Contest
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.place import differing
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.statistics.association import RankAgreement, partial_spearman, spearman
from unseen.reporting.statistics.claims import judged
from unseen.reporting.statistics.intervals import Estimate, estimate
from unseen.reporting.studies.paired_levels import Shared
from unseen.reporting.transfer.transfer_runs import TransferRun
from unseen.settings import ADDED, flatten

ACCURACY = "seen accuracy"
_NOT_JOINED = ("g", "best layer", "accuracy (own_test_images)")  # the last is the seen accuracy once more
_HOW_MEASURED = ("measures", "images", "limit", "faithful", "benchmark")
_SAME = 1e-9  # g in both summaries


@dataclass(frozen=True)
class Association:
    """A measure and g over networks; NaN where it cannot be tested."""

    measure: str
    found: RankAgreement
    partial: float  # given the seen accuracy
    partial_p: float  # approximate, so that no sentence rests on it
    corrected: float = math.nan  # p by Holm for all tests of the join
    partial_corrected: float = math.nan
    written: bool = False  # whether a sentence may say that `found` is not zero


@dataclass(frozen=True, eq=False)
class Join:
    """What is known of the networks of one contest whose biases were measured."""

    contest: Contest
    networks: tuple[Configuration, ...]  # each with the joined runs alone, in the order of the contest
    measures: Mapping[str, tuple[Estimate, ...]]  # of each network; n = 0 where it was not measured
    associations: tuple[Association, ...]  # of seen accuracy, then of the measures; none where not comparable
    transfer: bool  # whether a run of transfer.py names one of the networks
    problem: str = ""  # why nothing is tested

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the networks."""
        return tuple(config.label for config in self.networks)


def joins(
    contests: Sequence[Contest], bias_runs: Sequence[BiasRun], transfer_runs: Sequence[TransferRun]
) -> tuple[tuple[Join, ...], int]:
    """Return the join of each contest in which the biases of two networks or more were measured.

    Returns:
        The joins, and how many runs of biases.py on trained networks belong to no run of these contests.
    """
    every = [run for contest in contests for config in contest.configurations for run in config.runs]
    of_run = _linked(every, bias_runs)
    made = [join for contest in contests if (join := _join(contest, of_run, transfer_runs))]
    linked = {found.name for found in of_run.values()}
    trained = [run for run in bias_runs if run.facts.trained is not None]
    return _corrected(made), sum(run.name not in linked for run in trained)


def _linked(runs: Sequence[Run], bias_runs: Sequence[BiasRun]) -> dict[str, BiasRun]:
    """Return the newest bias run of each training run that has one, by the name of the training run."""
    found: dict[str, BiasRun] = {}
    for measured in sorted(bias_runs, key=lambda one: one.facts.written or ""):
        alike = [run for run in runs if _is_of(measured, run)]
        if len(alike) > 1:  # g before training is alike for many settings: the folder tells
            path = PurePath(measured.facts.checkpoint or "")
            folder = path.parents[1].name if path.suffix == ".ckpt" and len(path.parents) > 1 else path.name
            alike = [run for run in alike if run.folder.name == folder]
        if len(alike) == 1:
            found[alike[0].name] = measured
    return found


def _is_of(measured: BiasRun, run: Run) -> bool:
    """Return whether a bias run is of the network that a training run ended with; its g is written for no other."""
    facts, trained = measured.facts, measured.facts.trained
    return (
        run.facts.entry == "train"
        and trained is not None
        and (facts.model, facts.seed, trained.split_hash)
        == (run.facts.model, run.facts.seed, run.facts.split_hash)
        and facts.g is not None
        and run.facts.g is not None
        and abs(facts.g - run.facts.g) < _SAME
    )


def _join(
    contest: Contest, of_run: Mapping[str, BiasRun], transfer_runs: Sequence[TransferRun]
) -> Join | None:
    measured = [
        replace(config, runs=runs)
        for config in contest.configurations
        if (runs := tuple(run for run in config.runs if run.name in of_run))
    ]
    measured = [config for config in measured if config.is_scored]
    if len(measured) < 2:
        return None
    rows = Shared.of(measured, "nmi").rows
    if not rows[0]:
        return None
    networks = tuple(
        replace(config, runs=tuple(config.runs[at] for at in sorted(of_config)))
        for config, of_config in zip(measured, rows, strict=True)
    )
    used = [of_run[run.name] for config in networks for run in config.runs]
    measures = {}
    for heading, of in columns_of(used).items():
        if heading not in _NOT_JOINED:
            measures[heading] = tuple(
                _mean(config, [_number(of(of_run[run.name])) for run in config.runs]).within(
                    of.least, of.most
                )
                for config in networks
            )
    of_transfer = _iimm(networks, transfer_runs)
    differ = _measured_differently(used)
    problem = f"their biases were measured with different settings ({', '.join(differ)})" if differ else ""
    if not problem and len({config.model for config in networks}) < len(networks):
        problem = "several of them are trainings of one network, which are no independent points"
    measures |= of_transfer
    associations = () if problem else tuple(_associations(networks, measures))
    return Join(contest, networks, measures, associations, bool(of_transfer), problem)


def _number(cell: object) -> float:
    value = cell.mean if isinstance(cell, Estimate) else cell
    return float(value) if isinstance(value, int | float) else math.nan


def _mean(config: Configuration, values: Sequence[float]) -> Estimate:
    """Return the mean over splits and seeds; none where a run lacks the value, whose split the mean would miss."""
    array = np.array(values)
    return estimate(config.units.arrange(array)) if np.isfinite(array).all() else Estimate()


def _measured_differently(runs: Sequence[BiasRun]) -> list[str]:
    settings = [
        {
            key: json.dumps(value)
            for key, value in (ADDED | flatten(run.config)).items()
            if key.partition(".")[0] in _HOW_MEASURED
        }
        for run in runs
    ]
    return differing(settings)


def _iimm(networks: Sequence[Configuration], runs: Sequence[TransferRun]) -> dict[str, tuple[Estimate, ...]]:
    """Return the IIMM of encoders whose image tower has the weights that a network's fine-tuning began with."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        network, value = run.of_study.settings.get("encoder.network"), run.of_study.measures.get("iimm")
        if isinstance(network, str) and value is not None:
            heading = f"iimm of {run.facts.data} ({run.facts.model})"
            found.setdefault(heading, {}).setdefault(network, []).append(value)
    columns = {}
    for heading, by_network in found.items():
        cells = tuple(
            Estimate(float(np.mean(values)), n=len(values))
            if _is_pretrained(config) and (values := by_network.get(config.model))
            else Estimate()
            for config in networks
        )
        if any(cell.n for cell in cells):
            columns[heading] = cells
    return columns


def _is_pretrained(config: Configuration) -> bool:
    return flatten(config.runs[0].config).get("model.pretrained") is True


def _associations(
    networks: Sequence[Configuration], measures: Mapping[str, Sequence[Estimate]]
) -> list[Association]:
    g, accuracy = (
        [score.mean for score in of] for of in zip(*((c.score, c.accuracy) for c in networks), strict=True)
    )
    found = [Association(ACCURACY, spearman(accuracy, g), math.nan, math.nan)]
    for measure, cells in measures.items():
        values = [cell.mean if cell.n else math.nan for cell in cells]
        found.append(Association(measure, spearman(values, g), *partial_spearman(values, g, accuracy)))
    return found


def _corrected(made: Sequence[Join]) -> tuple[Join, ...]:
    """Return the joins with their p corrected by Holm for all tests of a join; joins share the errors of a page."""
    families = sum(bool(join.associations) for join in made)
    corrected = []
    for join in made:
        n = len(join.associations)
        p_values = [row.found.p for row in join.associations] + [row.partial_p for row in join.associations]
        verdicts = judged(p_values, max(1, families))
        rows = tuple(
            replace(row, corrected=p, written=written, partial_corrected=of_partial)
            for row, (p, written), (of_partial, _) in zip(
                join.associations, verdicts[:n], verdicts[n:], strict=True
            )
        )
        corrected.append(replace(join, associations=rows))
    return tuple(corrected)
