"""The tables of the report: results, controls, printed numbers, runs, folders that were left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unseen.probe_table import HEADINGS
from unseen.reporting.analysis import Analysis, Difference
from unseen.reporting.collect import LeftOut, Run
from unseen.reporting.configuration import Configuration
from unseen.reporting.papers import DATA_SETS, NETWORKS, PROBES, TOLERANCE, PaperRow
from unseen.reporting.summary import SIGNIFICANT
from unseen.reporting.tables import Cell, Column, Row, Table, shown
from unseen.scores import CHANCE_PROBE, SPLITS
from unseen.wording import count

_NOT_MEASURED = "not measured"
_INTERVAL = "mean ± standard deviation (ddof 0) [95 % bootstrap interval over seeds]"


def all_tables(
    analysis: Analysis, papers: Sequence[PaperRow], runs: Sequence[Run], left_out: Sequence[LeftOut]
) -> dict[str, Table]:
    """Return every table by its name; layer_scores is long and meant for programs."""
    made = (
        best_layers(analysis), differences(analysis), accuracy_and_g(analysis), depth_shape(analysis),
        data_set_agreement(analysis), controls(analysis), against_the_papers(papers), _runs(analysis, runs),
        _left_out(left_out), layer_scores(analysis),
    )  # fmt: skip
    return {table.name: table for table in made}


def best_layers(analysis: Analysis) -> Table:
    """Return g and the best layer of every configuration."""
    rows = []
    for comparison in analysis.comparisons:
        for one in comparison.configurations:
            g, best = one.g, one.g.best_layer
            cells: tuple[Cell, ...] = (
                len(one.runs),
                g.of_mean,
                g.of_runs,
                f"{best} of 0..{one.last_layer} ({one.layer_names[best]})",
                float(one.depths[best]),
                _wins(one),
                g.support,
                "best is last" if one.best_is_last else one.over_last,
                one.over_pixels if one.over_pixels.n else _NOT_MEASURED,
                one.accuracy,
                _NOT_MEASURED if one.noise is None else float(one.noise[best]),
            )
            is_best = one is comparison.best and len(comparison.configurations) > 1
            rows.append(_row(one, cells, "best" if is_best else ""))
    return Table(
        "best_layers",
        "Best layer and g",
        f"{_INTERVAL}. g: NMI of the unseen classes, largest over layers; the papers average over seeds first and "
        "take the largest layer then. The best layer is chosen on the same runs that score it, which favours it.",
        (
            *_columns("network", "data", "size"),
            Column("n", hint="runs (seeds)"),
            Column("g", hint="mean over seeds first, then the largest layer (as the papers)"),
            Column("g per run", hint="largest layer of each run, then the mean over seeds"),
            Column("best layer"),
            Column("depth", 2, "0: first, 1: last layer"),
            Column("wins (layer: runs)", hint="in how many runs each layer is the best"),
            Column("support", 2, "share of bootstrap resamples in which this layer is the best"),
            Column(
                "above last layer", hint="NMI of the best minus that of the last layer, paired over seeds"
            ),
            Column("above pixels", hint="NMI of the best layer minus that of the raw pixels"),
            Column("seen accuracy"),
            Column(
                "k-means noise",
                hint="standard deviation of the NMI over single k-means starts, at the best layer",
            ),
        ),
        tuple(rows),
    )


def _wins(one: Configuration) -> str:
    wins = one.g.wins
    ranked = sorted(np.flatnonzero(wins).tolist(), key=lambda layer: (-wins[layer], layer))
    return ", ".join(f"{layer}: {wins[layer]} of {wins.sum()}" for layer in ranked)


def layer_scores(analysis: Analysis) -> Table:
    """Return every score of every layer at the last step, with chance and ceiling."""
    rows = []
    for one in analysis.configurations:
        for split in SPLITS:
            for probe in HEADINGS:
                if (split, probe) not in one.probes:
                    continue
                levels = one.references(split, probe)
                for layer, score in enumerate(one.scores(split, probe)):
                    limits: list[Cell] = [
                        float(levels[kind].values[layer]) if kind in levels else None
                        for kind in ("chance", "ceiling", "pixels")
                    ]
                    place = (split, probe, layer, one.layer_names[layer], float(one.depths[layer]))
                    rows.append(_row(one, (*place, score, score.n, *limits)))
    columns = _columns(
        "network", "data", "size", "classes", "probe", "layer", "name", "depth", "score", "n", "chance",
        "ceiling", "raw pixels",
    )  # fmt: skip
    return Table("layer_scores", "Every layer, every probe, last step", f"{_INTERVAL}.", columns, tuple(rows))


def depth_shape(analysis: Analysis) -> Table:
    """Return whether the NMI is monotone over the layers."""
    rows = []
    for one in analysis.configurations:
        shape = one.shape
        if not shape.judged_by:
            verdict = "cannot be judged: one run, k-means noise not measured"
        elif shape.sign_changes:
            verdict = "not monotone"
        elif shape.rises or shape.falls:
            verdict = "no change of direction beyond the uncertainty"
        else:
            verdict = "no step beyond the uncertainty"
        counts = (shape.rises, shape.falls, shape.sign_changes) if shape.judged_by else (None,) * 3
        rows.append(
            _row(one, (shape.n, len(one.layer_names), one.trend.value, one.trend.p, *counts, verdict))
        )
    return Table(
        "depth_shape",
        "Is the NMI monotone over the layers?",
        "Spearman of layer number and mean NMI with a permutation p (exact up to 8 layers; neighbouring layers are "
        "not independent, so p is too small). A step from layer to layer counts where the 95 % interval of its "
        "paired difference over seeds excludes zero (one run: where it exceeds the k-means noise); a change of "
        "direction is a rise after a fall or the reverse. The steps are not corrected for their number.",
        (
            *_columns("network", "data", "size", "n", "layers"),
            Column("Spearman ρ", 2),
            Column("p", probability=True),
            *_columns("rises", "falls", "changes of direction", "verdict"),
        ),
        tuple(rows),
    )


def differences(analysis: Analysis) -> Table:
    """Return the networks of one data set against each other."""
    rows = [
        Row(
            (
                found.first.label, found.second.label, comparison.data, comparison.size, found.g.n, found.g, found.p,
                _verdict(found),
            ),
            "",
            comparison.data,
        )
        for comparison in analysis.comparisons
        for found in comparison.differences
    ]  # fmt: skip
    return Table(
        "differences",
        "Networks against each other",
        "Difference of the per-run g, paired by seed: mean ± standard deviation [95 % paired bootstrap interval]; "
        "p by flipping signs, corrected by Holm for the pairs of the data set (with three seeds it cannot fall "
        "below 0.25). With fewer than about ten seeds the bootstrap interval is narrower than 95 %.",
        (
            *_columns("first", "second", "data", "size"),
            Column("n", hint="shared seeds"),
            Column("g first − g second"),
            Column("p (Holm)", probability=True),
            Column("verdict"),
        ),
        tuple(rows),
    )


def _verdict(found: Difference) -> str:
    if found.g.n == 0:
        return "no seed in common"
    if found.g.n == 1:
        return "one shared seed: not distinguished"
    if found.p < SIGNIFICANT:
        return f"different (p < {SIGNIFICANT})"
    if found.g.low > 0 or found.g.high < 0:
        return f"above in {found.agree} of {found.g.n} seeds; too few for p < {SIGNIFICANT}"
    return "not distinguished"


def accuracy_and_g(analysis: Analysis) -> Table:
    """Return whether accuracy on seen classes ranks the networks as g does."""
    rows = []
    for one in analysis.comparisons:
        rho, tau = one.spearman, one.kendall
        how = "exact" if rho.exact else "9,999 permutations"
        cells: tuple[Cell, ...] = (
            one.data, one.size, rho.n, rho.value, rho.p, tau.value, tau.p,
            "needs three networks" if math.isnan(rho.value) else how,
        )  # fmt: skip
        rows.append(Row(cells, "", one.data))
    return Table(
        "accuracy_and_g",
        "Does accuracy on seen classes rank the networks as g does?",
        "A point a network (mean over its seeds); two-sided permutation p. With six or seven networks only a very "
        "strong agreement can be distinguished from none: a large p is not evidence that there is no relation.",
        (
            *_columns("data", "size"),
            Column("n", hint="networks"),
            Column("Spearman ρ", 2),
            Column("p", probability=True),
            Column("Kendall τ", 2),
            Column("p (τ)", probability=True),
            Column("how"),
        ),
        tuple(rows),
    )


def data_set_agreement(analysis: Analysis) -> Table:
    """Return whether a network's curve is the same on two data sets."""
    rows = [
        Row(
            (
                found.label, found.size, found.first, found.second, f"{found.seeds[0]} / {found.seeds[1]}",
                found.layers, found.agreement.value, found.agreement.p, found.agreement_p,
                found.difference, found.difference_p,
            ),
            found.label.split(" ", 1)[0],
        )
        for found in analysis.transfers
    ]  # fmt: skip
    return Table(
        "data_set_agreement",
        "Does a network's curve look the same on another data set?",
        "Mean NMI curves at equal normalised depths (linear interpolation where the numbers of layers differ). "
        "Spearman with permutation p; difference of the curves with a sign-flip p over layers; both corrected by "
        "Holm for all rows. Neighbouring layers are not independent, so both p are too small.",
        (
            *_columns("network", "size", "first", "second"),
            Column("n", hint="runs of each"),
            Column("layers"),
            Column("Spearman ρ", 2),
            Column("p", probability=True),
            Column("p (Holm)", probability=True),
            Column("first − second"),
            Column("p (Holm, difference)", probability=True),
        ),
        tuple(rows),
    )


def controls(analysis: Analysis) -> Table:
    """Return g against chance, k-means noise and destroyed images."""
    rows = []
    for one in analysis.configurations:
        best, g = one.g.best_layer, one.g.of_mean.mean
        chance = one.references("unseen", "nmi").get("chance")
        above: tuple[Cell, ...] = (_NOT_MEASURED, _NOT_MEASURED)
        if chance:
            level = float(chance.values[best])
            above = (level, g - level)
        noise = _NOT_MEASURED if one.noise is None else float(one.noise[best])
        destroyed = ", ".join(f"{level:g}: {shown(float(values[best]))}" for level, values in one.destroyed)
        rows.append(_row(one, (len(one.runs), g, *above, noise, destroyed or _NOT_MEASURED)))
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
    all_of_them = analysis.configurations
    counts = {
        "NMI by chance (nmi_chance)": sum(("unseen", CHANCE_PROBE) in one.probes for one in all_of_them),
        "k-means noise (nmi_start_sd)": sum(one.noise is not None for one in all_of_them),
        "destroyed images (probe.noise_levels=[0.25,0.5,0.75,1.0])": sum(
            bool(one.destroyed) for one in all_of_them
        ),
        "seen accuracy at every step": sum(
            all(found.n for found in one.accuracy_of_steps) for one in all_of_them
        ),
        "saved embeddings (probe.save_embeddings=true)": sum(
            any(run.embeddings for run in one.runs) for one in all_of_them
        ),
    }
    listed = ", ".join(f"{what} in {number or 'none'}" for what, number in counts.items())
    return f"Measured, of {count(len(all_of_them), 'configuration')}: {listed}."


def against_the_papers(papers: Sequence[PaperRow]) -> Table:
    """Return printed numbers beside ours."""
    rows = []
    for row in papers:
        printed = row.published
        ours: tuple[Cell, ...] = ("not run", None, None, "not run")
        if row.ours:
            verdict = "within the tolerance" if row.within else "outside the tolerance"
            ours = (row.ours, row.ours.n, row.difference, verdict)
        what = (NETWORKS[printed.model], DATA_SETS[printed.data], PROBES[printed.split, printed.probe])
        cells = (*what, printed.value, *ours, printed.source, printed.runs)
        rows.append(Row(cells, printed.model, printed.data))
    return Table(
        "against_the_paper",
        "Against the papers",
        f"Step 500, mean over runs first, then the largest layer. Tolerance {TOLERANCE}: what the two papers differ "
        "by on the same networks. Only runs with size=paper and the papers' own settings are compared; every other "
        "run, above all the demo size, is no reproduction and is left out.",
        (
            *_columns("network", "data", "score"),
            Column("printed", 2),
            Column("ours", 2),
            Column("n"),
            Column("difference", 2),
            *_columns("verdict", "source", "their runs"),
        ),
        tuple(rows),
    )


def _runs(analysis: Analysis, runs: Sequence[Run]) -> Table:
    labels = {run.name: one.label for one in analysis.configurations for run in one.runs}
    rows = []
    for run in runs:
        facts, best = run.facts, run.facts.best_layer
        cells: tuple[Cell, ...] = (
            labels.get(run.name, facts.model), facts.data, facts.size, facts.seed, facts.g,
            f"{best} ({facts.best_layer_name})" if best is not None else None,
            facts.seen_accuracy, int(run.scores.steps[-1]), facts.seconds, facts.config_hash or "", run.name,
        )  # fmt: skip
        rows.append(Row(cells, facts.model, facts.data))
    return Table(
        "runs",
        "Runs",
        "Every finished run; its config.yaml is in its folder.",
        (
            *_columns("network", "data", "size", "seed", "g", "best layer", "seen accuracy", "step"),
            Column("seconds", 0),
            *_columns("config hash", "folder"),
        ),
        tuple(rows),
    )


def _left_out(left_out: Sequence[LeftOut]) -> Table:
    rows = tuple(
        Row(
            (one.status, one.reason, one.model, one.data, one.size, one.seed, one.name),
            one.model,
            one.data,
            "failed",
        )
        for one in left_out
    )
    columns = _columns("status", "reason", "network", "data", "size", "seed", "folder")
    return Table("left_out", "Folders that were left out", "None of them is in any mean.", columns, rows)


def _columns(*headings: str) -> tuple[Column, ...]:
    return tuple(Column(heading) for heading in headings)


def _row(one: Configuration, cells: tuple[Cell, ...], mark: str = "") -> Row:
    """Return a row that begins with the network, the data set and the size."""
    return Row((one.label, one.data, one.size, *cells), one.model, one.data, mark)
