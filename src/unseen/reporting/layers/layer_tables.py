"""The tables of the report: what each has in its columns, and what its numbers are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from unseen.probe_table import HEADINGS
from unseen.reporting.collect import Collection
from unseen.reporting.layers.analysis import Analysis, Contest, Pair
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.merged_classes import merged_classes
from unseen.reporting.layers.papers import DATA_SETS, NETWORKS, PROBES, TOLERANCE, PaperRow
from unseen.reporting.number_texts import spans
from unseen.reporting.statistics.design import Components
from unseen.reporting.tables import Cell, Column, Row, Table, shown
from unseen.scores import CHANCE_PROBE, SPLITS
from unseen.wording import count

_NOT_MEASURED = "not measured"
_INTERVAL = (
    "Mean ± standard deviation (ddof 1) over n units [95 % t interval, from three units on]; units are splits (of "
    "the classes, or of their images), each the mean over its seeds, or the seeds of the same classes; over splits "
    "that share two seeds or more the interval holds for other seeds, too"
)
_RHO = Column("Spearman ρ", 2)
_P = Column("p", probability=True)


def all_tables(analysis: Analysis, papers: Sequence[PaperRow], collection: Collection) -> dict[str, Table]:
    """Return every table by its name; layer_scores is long and meant for programs."""
    made = (
        best_layers(analysis), best_layer_details(analysis), differences(analysis), accuracy_and_g(analysis),
        depth_shape(analysis),
        data_set_agreement(analysis), variation(analysis), power(analysis), controls(analysis), variants(analysis),
        not_ranked(analysis), merged_classes(analysis),
        against_the_papers(papers), runs(analysis, collection), left_out(collection), layer_scores(analysis),
    )  # fmt: skip
    return {table.name: table for table in made}


def best_layers(analysis: Analysis) -> Table:
    """Return g and the best layer of every configuration: narrow enough for a paper."""
    rows, one = [], len(analysis.contests) == 1  # of one contest the title says data and size
    for contest in analysis.contests:
        for config in contest.configurations:
            g, lead, where = config.g, config.lead.nmi, () if one else (config.where, config.size)
            cells: tuple[Cell, ...] = (
                config.label, *where, g.plain.n, config.score, f"{g.best_layer} of 0..{config.last_layer}",
                lead if lead.n > 1 else None, config.accuracy,
            )  # fmt: skip
            is_best = config is contest.best and len(contest.configurations) > 1
            rows.append(Row(cells, config.model, config.data, "best" if is_best else ""))
    on = f" on {analysis.contests[0].title}, {analysis.contests[0].size} size" if one else ""
    return Table(
        "best_layers", f"Best layer and g{on}",
        "Mean over n units [95 % t interval, from three units on]; units are class splits or seeds. g: NMI of the "
        "unseen classes at the best layer, which is chosen on the other units (cross-fitted). Lead: the best layer "
        "above the last one. Accuracy: on seen classes.",
        _columns(
            "network", *(() if one else ("data", "size")), Column("n", hint="units: class splits, or seeds"),
            Column("g", 2, "cross-fitted; of a single unit as in the papers", spread=False),
            Column("best layer", hint="in the mean; 0 is the first"), Column("lead", 2, spread=False),
            Column("accuracy", 2, spread=False),
        ),
        tuple(rows),
    )  # fmt: skip


def best_layer_details(analysis: Analysis) -> Table:
    """Return what else is known of the best layers."""
    rows = []
    for config in analysis.configurations:
        g, training = config.g, config.training
        cells: tuple[Cell, ...] = (
            str(config.units), g.plain, config.layer_names[g.best_layer], float(config.depths[g.best_layer]),
            spans(np.flatnonzero(g.candidates).tolist()), config.lead.p,
            config.over_pixels if config.over_pixels.n else _NOT_MEASURED,
            training.g if training and training.g.n > 1 else None, training.p if training else None,
        )  # fmt: skip
        rows.append(_row(config, cells))
    return Table(
        "best_layer_details",
        "More on the best layers",
        f"{_INTERVAL}. g as in the papers: mean over units first, then the largest layer; it lies above the truth, "
        "the more layers the more, so it has no interval. Training: cross-fitted g at the last step minus that at step "
        "0. Neither p is corrected for other tests.",
        _columns(
            "network", "data", "size", "runs", Column("g as in the papers", hint="mean over units first"), "best layer",
            Column("depth", 2, "0: first, 1: last layer"),
            Column("may be best", hint="layers that cannot be excluded as the best (95 %)"),
            Column("p (lead)", probability=True),
            Column("above pixels", hint="NMI of the best layer minus that of the raw pixels"),
            Column("training", hint="g after minus before"), Column("p (training)", probability=True),
        ),
        tuple(rows),
    )  # fmt: skip


def layer_scores(analysis: Analysis) -> Table:
    """Return every score of every layer at the last step, with chance and ceiling."""
    kinds = ("chance", "ceiling", "pixels")
    rows = []
    for config in analysis.configurations:
        for split, probe in ((split, probe) for split in SPLITS for probe in HEADINGS):
            if (split, probe) in config.probes:
                levels = config.references(split, probe)
                for layer, score in enumerate(config.scores(split, probe)):
                    place = (split, probe, layer, config.layer_names[layer], float(config.depths[layer]))
                    limits = (float(levels[kind].values[layer]) if kind in levels else None for kind in kinds)
                    rows.append(_row(config, (*place, score, score.n, *limits)))
    columns = _columns(
        "network", "data", "size", "classes", "probe", "layer", "name", "depth", "score", "n", "chance", "ceiling",
        "raw pixels",
    )  # fmt: skip
    note = (
        "The linear probe is tested on one fifth of the images: the binomial standard error of a run's accuracy is its "
        "row linear_probe_se, and another split of the same images may move it by more."
    )
    return Table(
        "layer_scores", "Every layer, every probe, last step", f"{_INTERVAL}. {note}", columns, tuple(rows)
    )


def depth_shape(analysis: Analysis) -> Table:
    """Return whether the NMI only rises or only falls over the layers."""
    rows = []
    for config in analysis.configurations:
        found = config.turning
        if not found.kind:
            verdict = "cannot be judged: fewer than three units or layers"
        else:
            shape = f"{found.kind} at layer {found.layer}"
            verdict = shape if analysis.written[config, "turns"] else "not shown"
        cells = (found.n, len(config.layer_names), found.height, found.departure, found.p, verdict)
        rows.append(_row(config, cells))
    return Table(
        "depth_shape",
        "Does the NMI only rise or only fall over the layers?",
        "A peak (valley) is an inner layer above (below) both the first and the last one: by how much above the "
        "nearer, the layer chosen on the other units; p of any rising, falling or flat curve. Departure: largest "
        "distance of the mean curve from the nearest rising or falling one (isotonic regression); it is above zero "
        "by chance, too.",
        _columns(
            "network",
            "data",
            "size",
            "n",
            "layers",
            "height",
            "departure",
            Column("p", probability=True),
            "verdict",
        ),
        tuple(rows),
    )


def differences(analysis: Analysis) -> Table:
    """Return the networks of one contest against each other."""
    rows = []
    for contest in analysis.contests:
        for pair in contest.pairs:
            found, where = pair.found, (contest.title, contest.size)
            above = f"{found.first_above} of {found.g.n} {pair.units.noun}" if found.g.n else "none shared"
            cells: tuple[Cell, ...] = (
                pair.first.label, pair.second.label, *where, found.g.n, found.g if found.g.n else None, above, found.p,
                analysis.corrected[pair], _verdict(pair, analysis),
            )  # fmt: skip
            rows.append(Row(cells, "", contest.data))
    return Table(
        "differences",
        "Networks against each other",
        "Difference of the cross-fitted g over the units that both have: mean ± standard deviation [95 % interval], "
        "two-sided p by the jackknife t-test, and corrected for all tests of this page.",
        _columns(
            "first", "second", "data", "size", Column("n", hint="shared class splits, or seeds"), "g first − g second",
            "first above", Column("p", probability=True), Column("p (page)", probability=True), "verdict",
        ),
        tuple(rows),
    )  # fmt: skip


def _verdict(pair: Pair, analysis: Analysis) -> str:
    if pair.found.g.n == 0:
        return "no class split with a common seed"
    if math.isnan(pair.found.p):
        return "fewer than three units: not compared"
    return "different" if analysis.written[pair] else "not told apart"


def accuracy_and_g(analysis: Analysis) -> Table:
    """Return whether accuracy on seen classes ranks the networks as g does."""
    rows = []
    for contest in analysis.contests:
        found = contest.association
        how = "exact" if found.exact else "9,999 permutations"
        how = "needs three networks" if math.isnan(found.rho) else how
        cells = (
            contest.title,
            contest.size,
            found.n,
            found.rho,
            found.p,
            found.smallest_p,
            found.detectable,
            how,
        )
        rows.append(Row(cells, "", contest.data))
    return Table(
        "accuracy_and_g",
        "Does accuracy on seen classes rank the networks as g does?",
        "A point a network (mean over its runs and settings); two-sided permutation p. Smallest p: what perfect "
        "agreement would give; above .05 nothing can be shown. Detectable: the true correlation that so many "
        "networks would find in 80 % of cases: a large p is not evidence that there is no relation.",
        _columns(
            "data", "size", Column("n", hint="networks"), _RHO, _P, Column("smallest p", probability=True),
            Column("detectable ρ", 2), "how",
        ),
        tuple(rows),
    )  # fmt: skip


def data_set_agreement(analysis: Analysis) -> Table:
    """Return whether networks' curves are the same on two data sets."""
    rows = []
    for pair in analysis.data_set_pairs:
        found = pair.agreement
        of_each = ", ".join(f"{network} {shown(rho, 2)}" for network, rho in pair.rhos.items())
        cells = (
            pair.first,
            pair.second,
            pair.size,
            found.n,
            found.rho,
            found.positive,
            found.p,
            of_each,
        )
        rows.append(Row(cells))
    return Table(
        "data_set_agreement",
        "Do the networks' curves look the same on another data set?",
        "Spearman's ρ of the mean NMI curves at equal normalised depths, for each network that was trained with the "
        "same settings on both. Neighbouring layers are alike, so a curve is one observation: p by flipping the "
        "signs of the networks' ρ, from six networks on.",
        _columns(
            "first",
            "second",
            "size",
            Column("n", hint="networks"),
            Column("mean ρ", 2),
            "ρ above zero",
            _P,
            "ρ of each",
        ),
        tuple(rows),
    )


def variation(analysis: Analysis) -> Table:
    """Return how much of the NMI of the best layer varies over class splits, seeds and k-means starts."""
    rows = []
    for config in analysis.configurations:
        parts, best = config.variation, config.g.best_layer
        measured = (
            _NOT_MEASURED if values is None else float(values[best])
            for values in (config.noise, config.image_noise)
        )
        sds = (math.sqrt(part) for part in (parts.split, parts.seed, parts.residual))
        cells = (str(config.units), config.units.scope, *sds, *measured)
        rows.append(_row(config, cells))
    return Table(
        "variation",
        "What the results vary with",
        "Standard deviations of one run's NMI at the best layer, by the mean squares of splits × seeds (Searle, "
        "Casella and McCulloch 1992): over splits; over seeds, as far as a seed moves all splits alike; and what "
        "is left, a seed's effect on one split (of a single split all that its seeds do). k-means: over single starts, "
        "part of what is left (less where several starts are used); images: over resampled test images. A standard "
        "deviation of few runs is rough.",
        _columns(
            "network", "data", "size", "runs", Column("intervals generalise over"), "sd over splits",
            "sd over seeds, all splits alike", "sd within a split", "sd over k-means starts",
            Column("sd over images", hint="probe.image_bootstrap=200"),
        ),
        tuple(rows),
    )  # fmt: skip


_DIFFERENCES = (0.02, 0.05, 0.1)
_SEEDS_EACH = (1, 3, 5)


def power(analysis: Analysis) -> Table:
    """Return how many seeds and class splits a difference of two networks needs."""
    rows = []
    for contest in analysis.contests:
        spread = _typical_spread(contest)
        sds = [math.sqrt(part) for part in (spread.split, spread.seed, spread.residual)]
        for difference in _DIFFERENCES if not math.isnan(spread.residual) else ():
            of_splits = [
                None if math.isnan(spread.split) else _number(spread.splits_needed(difference, each))
                for each in _SEEDS_EACH
            ]
            seeds = _number(spread.seeds_needed(difference))
            cells = (contest.title, contest.size, difference, *sds, seeds, *of_splits)
            rows.append(Row(cells, "", contest.data))
    return Table(
        "power",
        "How many seeds and class splits a difference needs",
        "So many units find a true difference of two networks' g in 80 % of cases with a paired t-test at p ≤ .05, by "
        "the spread of the paired differences measured here (mean variances over the pairs of a contest). Seeds: for "
        "these classes only. Splits: for other classes, too, all splits with the same seeds; what these do to all "
        "splits alike is not made less by more splits. The test over splits and seeds asks more than a paired t-test "
        "where seeds are few: then take more. The spread of few runs is rough, and so is the number.",
        _columns(
            "data", "size", Column("difference", 2), Column("sd over splits", hint="of a paired difference"),
            Column("sd over seeds, all splits alike", hint="of a paired difference"),
            Column("sd within a split", hint="of a paired difference"), "seeds",
            *(f"splits of {each} {'seed' if each == 1 else 'seeds'}" for each in _SEEDS_EACH),
        ),
        tuple(rows),
    )  # fmt: skip


def _typical_spread(contest: Contest) -> Components:
    """Return the mean variances of the pairs' differences; NaN where no pair has one."""
    parts = np.array([astuple(pair.spread) for pair in contest.pairs]).reshape(-1, 3).T
    known = [of_one[np.isfinite(of_one)] for of_one in parts]
    return Components(*(float(of_one.mean()) if len(of_one) else math.nan for of_one in known))


def _number(units: int | None) -> str:
    return "> 1,000" if units is None else str(units)


def controls(analysis: Analysis) -> Table:
    """Return g against chance, k-means noise and destroyed images."""
    rows = []
    for config in analysis.configurations:
        best, g = config.g.best_layer, config.g.plain.mean
        chance = config.references("unseen", "nmi").get("chance")
        level = None if chance is None else float(chance.values[best])
        measured = (
            level,
            None if level is None else g - level,
            None if config.noise is None else float(config.noise[best]),
            ", ".join(f"{noise:g}: {shown(float(values[best]))}" for noise, values in config.destroyed)
            or None,
        )
        cells = (_NOT_MEASURED if cell is None else cell for cell in measured)
        rows.append(_row(config, (len(config.runs), g, *cells)))
    return Table(
        "controls",
        "Controls",
        "NMI is above zero by chance: chance is the same clustering scored against permuted labels. k-means noise is "
        "the standard deviation of the NMI over single k-means starts; a difference below about three times this is "
        "within what k-means does by itself (less where several starts are used). Destroyed images: the NMI of the "
        "best layer as noise replaces the images step by step; it must fall to chance.",
        _columns(
            "network", "data", "size", "n", "g", "chance (permuted labels)", "g above chance", "k-means noise",
            "destroyed images (noise level: NMI)",
        ),
        tuple(rows),
    )  # fmt: skip


def what_was_measured(analysis: Analysis) -> str:
    """Return which rows the runs have beyond their scores, and how to get those that are missing."""
    configs = analysis.configurations
    measured = {
        "NMI by chance (nmi_chance)": [("unseen", CHANCE_PROBE) in config.probes for config in configs],
        "k-means noise (nmi_start_sd)": [config.noise is not None for config in configs],
        "destroyed images (probe.noise_levels=[0.25,0.5,0.75,1.0])": [
            bool(config.destroyed) for config in configs
        ],
        "seen accuracy at every step": [all(at.n for at in config.accuracy_of_steps) for config in configs],
        "saved embeddings (probe.save_embeddings=true)": [
            any(run.embeddings for run in config.runs) for config in configs
        ],
    }
    listed = ", ".join(f"{what} in {sum(which) or 'none'}" for what, which in measured.items())
    return f"Measured, of {count(len(configs), 'configuration')}: {listed}."


def variants(analysis: Analysis) -> Table:
    """Return the settings of configurations whose label is a letter."""
    rows = [
        _row(config, (name, value))
        for config in analysis.configurations
        if config.letter
        for name, value in config.settings.items()
    ]
    return Table(
        "variants", "What the letters stand for", "Settings in which the configurations of one network differ.",
        _columns("network", "data", "size", "setting", "value"), tuple(rows),
    )  # fmt: skip


def not_ranked(analysis: Analysis) -> Table:
    """Return which configurations are not compared with each other, and why."""
    rows = []
    for contest in analysis.contests:
        if contest.differs:
            members = ", ".join(dict.fromkeys(config.label for config in contest.configurations))
            why = "other classes, images or probes than the other contests on these data"
            rows.append(Row((contest.title, contest.size, members, why), "", contest.data))
        for config, why in contest.others:
            rows.append(Row((contest.title, contest.size, config.label, why), config.model, contest.data))
    return Table(
        "not_ranked", "Not ranked together",
        "Only scores on the same classes and images by the same probes are ranked: a contest each.",
        _columns("contest", "size", "configurations", "why"), tuple(rows),
    )  # fmt: skip


def against_the_papers(papers: Sequence[PaperRow]) -> Table:
    """Return printed numbers beside ours."""
    rows = []
    for row in papers:
        ours: tuple[Cell, ...] = ("not run", None, None, "not run")
        if row.ours:
            verdict = "within the tolerance" if row.within else "outside the tolerance"
            ours = (row.ours, row.ours.n, row.difference, verdict)
        others = (row.others, None if row.others is None else "yes" if row.others_within else "no")
        what = (NETWORKS[row.model], DATA_SETS[row.data], PROBES[row.split, row.probe], row.value)
        rows.append(Row((*what, *ours, *others, row.source, row.runs), row.model, row.data))
    return Table(
        "against_the_paper",
        "Against the papers",
        f"Step 500, mean over runs first, then the largest layer. Tolerance {TOLERANCE}: what the two papers differ "
        "by on the same networks. Others: the mean of the other networks' numbers in print, which knows nothing of "
        "this network; where it is within the tolerance, so would be almost any run. "
        "Only runs with every setting of the papers are compared; every other run, above all the demo size, is no "
        "reproduction and is left out.",
        _columns(
            "network", "data", "score", Column("printed", 2), Column("ours", 2), "n", Column("difference", 2),
            "verdict", Column("others", 2, "mean of the other networks in print"),
            Column("others within", hint="whether that mean is within the tolerance"), "source", "their runs",
        ),
        tuple(rows),
    )  # fmt: skip


def runs(analysis: Analysis, collection: Collection) -> Table:
    """Return every run that numbers come from."""
    labels = {run.name: config.label for config in analysis.configurations for run in config.runs}
    rows = []
    for run in collection.runs:
        facts = run.facts
        best = None if facts.best_layer is None else f"{facts.best_layer} ({facts.best_layer_name})"
        cells: tuple[Cell, ...] = (
            labels.get(run.name, facts.model), facts.data, facts.size, run.classes, facts.seed, facts.g, best,
            facts.seen_accuracy, int(run.scores.steps[-1]), facts.seconds, facts.config_hash or "", run.name,
        )  # fmt: skip
        rows.append(Row(cells, facts.model, facts.data))
    columns = _columns(
        "network", "data", "size", "unseen", "seed", "g", "best layer", "seen accuracy", "step", Column("seconds", 0),
        "config hash", "folder",
    )  # fmt: skip
    return Table(
        "runs", "Runs", "Every finished run; its config.yaml is in its folder.", columns, tuple(rows)
    )


def left_out(collection: Collection) -> Table:
    """Return every folder that no number comes from."""
    rows = [
        Row((out.status, out.reason, out.model, out.data, out.size, out.seed, out.name), out.model, out.data, "failed")
        for out in collection.left_out
    ]  # fmt: skip
    columns = _columns("status", "reason", "network", "data", "size", "seed", "folder")
    return Table(
        "left_out", "Folders that were left out", "None of them is in any mean.", columns, tuple(rows)
    )


def _columns(*columns: str | Column) -> tuple[Column, ...]:
    return tuple(Column(column) if isinstance(column, str) else column for column in columns)


def _row(config: Configuration, cells: tuple[Cell, ...]) -> Row:
    """Return a row that begins with the network, the data set and the size."""
    return Row((config.label, config.where, config.size, *cells), config.model, config.data)
