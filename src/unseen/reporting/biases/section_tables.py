"""The tables of the report's section on biases: what each has in its columns, and what its numbers are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseen.reporting.biases.bias_runs import ACCURACY, BiasRun, Key
from unseen.reporting.biases.differences import FEWEST_DIFFERING, Difference
from unseen.reporting.biases.own_networks import group_name, is_of
from unseen.reporting.statistics.intervals import SHARE, Estimate, estimate
from unseen.reporting.tables import Cell, Column, Row, Table
from unseen.reporting.texts import printable
from unseen.wording import listing

_NO_SEED = (
    "It is one network's and holds for other images of the same kind; it says nothing about other seeds."
)
_SHARES = {ACCURACY, "adversarial_accuracy", "shape_bias", "calibration_error", "receptive_field"}
_RATIOS = {"low_frequency_bias", "high_frequency_bias"}  # of two accuracies
_LOSSES = {"color_dependence", "patch_shuffle_sensitivity"}  # the share of an accuracy that is lost
_MOST_COLUMNS = 10
_MOST_ACROSS = 8  # networks
_INFINITE = (-math.inf, math.inf)


@dataclass(frozen=True)
class Quantity:
    """A number of a network and the ends of its range, infinite where there is none."""

    of: Callable[[BiasRun], Cell]
    least: float
    most: float

    def __call__(self, run: BiasRun) -> Cell:
        """Return the number, or nothing where the run has none."""
        return self.of(run)


Columns = dict[str, Quantity]


def network_table(runs: Sequence[BiasRun], names: Sequence[str]) -> Table:
    """Return a row a network: its biases, its accuracies, and g of the run that trained it."""
    columns = columns_of(runs)
    rows = [
        Row((name, *(of(run) for of in columns.values())), run.facts.model)
        for run, name in zip(runs, names, strict=True)
    ]
    table = Table(
        "biases", "Biases, accuracy and g of each network",
        f"A value and its 95 % bootstrap interval over images. {_NO_SEED} In brackets the set of images. ID, "
        "Robustness and Concepts are means over benchmarks. g, its layer: of the run that trained the network here.",
        (Column("network"), *(Column(heading, spread=False) for heading in columns)), tuple(rows),
    )  # fmt: skip
    return _turned(table) if len(columns) > _MOST_COLUMNS and len(runs) <= _MOST_ACROSS else table


def _turned(table: Table) -> Table:
    """Return a table with a column a network: many values of few networks fit on no paper otherwise."""
    headings = [column.heading for column in table.columns[1:]]
    rows = [
        Row((heading, *(row.cells[at] for row in table.rows))) for at, heading in enumerate(headings, start=1)
    ]
    names = (Column(str(row.cells[0]), spread=False) for row in table.rows)
    return replace(table, columns=(Column("value"), *names), rows=tuple(rows))


def columns_of(runs: Sequence[BiasRun]) -> Columns:
    """Return what is known of some of the networks, by heading; accuracies of a group's sets are in the group."""
    keys = list(dict.fromkeys(key for run in runs for key in run.values))
    grouped = {name for run in runs for group in run.facts.groups.values() for name in group.benchmarks}
    biases = [key for key in keys if key[0] != ACCURACY]
    single = [
        key
        for key in keys
        if key[0] == ACCURACY and not any(is_of(key[1], benchmark) for benchmark in grouped)
    ]
    columns: Columns = {
        f"{measure.replace('_', ' ')} ({images})": _value((measure, images))
        for measure, images in biases + single
    }
    for label in dict.fromkeys(label for run in runs for label in _groups(run)):
        columns[f"accuracy, {label}"] = _group(label)
    if any(run.facts.g is not None for run in runs):
        columns["g"] = Quantity(lambda run: run.facts.g, *SHARE)
        columns["best layer"] = Quantity(lambda run: run.facts.best_layer, *_INFINITE)
    return columns


def _value(key: Key) -> Quantity:
    return Quantity(lambda run: run.values.get(key), *range_of_measure(key[0]))


def range_of_measure(measure: str) -> tuple[float, float]:
    """Return where the values of a measure lie by definition; infinite where there is no end, or it is not ours.

    >>> range_of_measure("shape_bias"), range_of_measure("cb_bandwidth_interpolated"), range_of_measure("mine")
    ((0.0, 1.0), (0.0, inf), (-inf, inf))
    """
    if measure in _SHARES or measure.startswith("cb_peak_noise_sensitivity"):
        return SHARE
    if measure in _LOSSES:
        return -math.inf, 1.0
    return (0.0, math.inf) if measure in _RATIOS or measure.startswith("cb_") else _INFINITE


def _group(label: str) -> Quantity:
    return Quantity(lambda run: _groups(run).get(label), *SHARE)


def _groups(run: BiasRun) -> dict[str, float]:
    return {
        group_name(name, set(group.benchmarks)): group.accuracy for name, group in run.facts.groups.items()
    }


def every_value(runs: Sequence[BiasRun], names: Sequence[str]) -> Table:
    """Return a row a network, measure and set of images."""
    rows = [
        Row((name, measure, images, value, value.n), run.facts.model)
        for run, name in zip(runs, names, strict=True)
        for (measure, images), value in run.values.items()
    ]
    return Table(
        "bias_values", "Every value",
        f"A value and its 95 % bootstrap interval over n images; none where the images do not tell it. {_NO_SEED}",
        (
            Column("network"), Column("measure"), Column("images"), Column("value", spread=False),
            Column("n", hint="images"),
        ),
        tuple(rows),
    )  # fmt: skip


def seed_table(groups: Mapping[str, Sequence[BiasRun]]) -> Table:
    """Return the means over seeds of networks that were trained alike."""
    columns = columns_of([run for runs in groups.values() for run in runs])
    columns.pop("best layer", None)
    rows = [
        Row((name, len(runs), *(_over_seeds(runs, of) for of in columns.values())), runs[0].facts.model)
        for name, runs in groups.items()
    ]
    return Table(
        "bias_seeds", "Networks that were trained here with several seeds",
        "Mean ± standard deviation (ddof 1) over seeds [95 % t interval, from three seeds on]: same network, data, "
        "classes and settings. It holds for other seeds, not for other classes or images.",
        (Column("network"), Column("n", hint="seeds"), *(Column(heading) for heading in columns)), tuple(rows),
    )  # fmt: skip


def _over_seeds(runs: Sequence[BiasRun], of: Quantity) -> Estimate | None:
    cells = [of(run) for run in runs]
    values = [cell.mean if isinstance(cell, Estimate) else cell for cell in cells]
    known = np.array([value for value in values if isinstance(value, int | float)], dtype=float)
    return estimate(known).within(of.least, of.most) if np.isfinite(known).any() else None


def difference_table(rows: Sequence[Difference]) -> Table:
    """Return every pair of networks on the same images."""
    cells = [
        (row.first, row.second, row.measure, row.images, row.n, row.differing, row.value, row.p, row.corrected,
         _verdict(row))
        for row in rows
    ]  # fmt: skip
    p = (Column("p", probability=True), Column("p (all)", probability=True, hint="Holm, for all rows"))
    return Table(
        "bias_differences", "Networks against each other, on the same images",
        "Value of the first minus that of the second with a 95 % bootstrap interval: both on the same resamples of the "
        "same images. Two-sided p, and corrected by Holm for all rows of this table. It compares these two networks; "
        "two seeds of one network may differ by as much. Not compared: fewer than "
        f"{FEWEST_DIFFERING} images on which the two differ.",
        (
            Column("first"), Column("second"), Column("measure"), Column("images"), Column("n", hint="images"),
            Column("differing", hint="images on which the two have other numbers"),
            Column("first − second", spread=False), *p, Column("verdict"),
        ),
        tuple(Row(one) for one in cells),
    )  # fmt: skip


def _verdict(row: Difference) -> str:
    if row.differing < FEWEST_DIFFERING:
        return "not compared"
    return "different" if row.written else "not told apart"


def not_measured_table(runs: Sequence[BiasRun], names: Sequence[str]) -> Table:
    """Return which images were missing, and which measures could not be taken."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for run, name in zip(runs, names, strict=True):
        for kind, reasons in (("images", run.facts.missing), ("measure", run.facts.not_measured)):
            for what, why in reasons.items():
                found.setdefault((kind, what, printable(why)), []).append(name)
    rows = [
        Row((kind, what, why, "all" if len(whose) == len(runs) else listing(whose)))
        for (kind, what, why), whose in found.items()
    ]
    return Table(
        "bias_not_measured", "What was missing or could not be measured", "Nothing on this page stands for it.",
        (Column("kind"), Column("what"), Column("why"), Column("networks")), tuple(rows),
    )  # fmt: skip
