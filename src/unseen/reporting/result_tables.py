"""The tables of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unseen.probe_table import HEADINGS
from unseen.reporting.analysis import Analysis, Setting
from unseen.reporting.listing_tables import (
    NOT_MEASURED,
    against_the_paper,
    controls,
    left_out,
    level_at,
    runs,
)
from unseen.reporting.paper import PaperRow
from unseen.reporting.probe_facts import references
from unseen.reporting.records import LeftOut, Run
from unseen.reporting.tables import Cell, Column, Row, Table
from unseen.scores import SPLITS

_INTERVAL = "mean ± standard deviation (ddof 0) [95 % bootstrap interval over seeds]"


def best_layers(analysis: Analysis) -> Table:
    """Return g and the best layer of every setting."""
    rows = []
    for contest in analysis.contests:
        for setting in contest.settings:
            group, g = setting.group, setting.g
            cells: tuple[Cell, ...] = (
                group.label,
                group.data,
                group.size,
                len(group.runs),
                g.of_mean,
                g.of_runs,
                f"{g.best_layer} of 0..{setting.last_layer} ({group.layer_names[g.best_layer]})",
                float(group.depths[g.best_layer]),
                _wins(setting),
                g.support,
                "best is last" if setting.best_is_last else setting.over_last,
                setting.over_pixels if setting.over_pixels.n else NOT_MEASURED,
                setting.accuracy,
                NOT_MEASURED if setting.noise is None else float(setting.noise[g.best_layer]),
            )
            mark = "best" if setting is contest.winner and len(contest.settings) > 1 else ""
            rows.append(Row(cells, group.model, group.data, mark))
    return Table(
        "best_layers",
        "Best layer and g",
        f"{_INTERVAL}. g: NMI of the unseen classes, largest over layers; the papers average over seeds first and "
        "take the largest layer then. The best layer is chosen on the same runs that score it, which favours it.",
        (
            Column("network"),
            Column("data"),
            Column("size"),
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


def _wins(setting: Setting) -> str:
    wins = setting.g.wins
    ranked = sorted(np.flatnonzero(wins).tolist(), key=lambda layer: (-wins[layer], layer))
    return ", ".join(f"{layer}: {wins[layer]} of {wins.sum()}" for layer in ranked)


def layer_scores(analysis: Analysis) -> Table:
    """Return every score of every layer at the last step, with chance and ceiling."""
    rows = []
    for setting in analysis.settings:
        group = setting.group
        for split in SPLITS:
            for probe in HEADINGS:
                if (split, probe) not in group.probes:
                    continue
                found = setting.scores(split, probe)
                levels = {level.kind: level.values for level in references(group, split, probe)}
                for layer, name in enumerate(group.layer_names):
                    limits = tuple(
                        level_at(levels.get(kind), layer) for kind in ("chance", "ceiling", "pixels")
                    )
                    place: tuple[Cell, ...] = (group.label, group.data, group.size, split, probe, layer, name)
                    cells = (
                        *place,
                        float(group.depths[layer]),
                        found.at(layer),
                        int(found.n[layer]),
                        *limits,
                    )
                    rows.append(Row(cells, group.model, group.data))
    headings = ("network", "data", "size", "classes", "probe", "layer", "name", "depth", "score", "n")
    columns = tuple(Column(heading) for heading in (*headings, "chance", "ceiling", "raw pixels"))
    return Table("layer_scores", "Every layer, every probe, last step", f"{_INTERVAL}.", columns, tuple(rows))


def depth_shapes(analysis: Analysis) -> Table:
    """Return whether the NMI goes one way through the layers."""
    rows = []
    for setting in analysis.settings:
        group, trend, shape = setting.group, setting.trend, setting.shape
        if not shape.judged_by:
            verdict = "cannot be judged: one run, k-means noise not measured"
        elif shape.sign_changes:
            verdict = "not monotone"
        elif shape.rises or shape.falls:
            verdict = "no turn beyond the uncertainty"
        else:
            verdict = "no step beyond the uncertainty"
        place: tuple[Cell, ...] = (group.label, group.data, group.size, shape.n, len(group.layer_names))
        counts: tuple[Cell, ...] = (
            (shape.rises, shape.falls, shape.sign_changes) if shape.judged_by else (None,) * 3
        )
        rows.append(
            Row((*place, trend.spearman, trend.spearman_p, *counts, verdict), group.model, group.data)
        )
    return Table(
        "depth_shape",
        "Does the NMI go one way through the layers?",
        "Spearman of layer number and mean NMI with a permutation p (exact up to 8 layers; neighbouring layers are "
        "not independent, so p is too small). A step from layer to layer counts where the 95 % interval of its "
        "paired difference over seeds leaves out zero (one run: where it exceeds the k-means noise); a turn is a "
        "rise after a fall or the reverse. The steps are not corrected for their number.",
        (
            Column("network"), Column("data"), Column("size"), Column("n"), Column("layers"),
            Column("Spearman ρ", 2), Column("p", probability=True), Column("rises"), Column("falls"), Column("turns"),
            Column("verdict"),
        ),
        tuple(rows),
    )  # fmt: skip


def differences(analysis: Analysis) -> Table:
    """Return the networks of one data set against each other."""
    rows = []
    for contest in analysis.contests:
        for difference in contest.differences:
            found, n = difference.g, difference.g.n
            first, second = difference.first.group, difference.second.group
            if n == 0:
                verdict = "no seed in common"
            elif n == 1:
                verdict = "one shared seed: not told apart"
            elif difference.p < 0.05:
                verdict = "told apart (p < 0.05)"
            elif difference.excludes_zero:
                verdict = f"above in {difference.agree} of {n} seeds; too few for p < 0.05"
            else:
                verdict = "not told apart"
            cells: tuple[Cell, ...] = (
                first.label, second.label, contest.data, contest.size, n, found, difference.p, verdict,
            )  # fmt: skip
            rows.append(Row(cells, "", contest.data))
    return Table(
        "differences",
        "Networks against each other",
        "Difference of the per-run g, paired by seed: mean ± standard deviation [95 % paired bootstrap interval]; "
        "p by flipping signs, corrected by Holm for the pairs of the data set (with three seeds it cannot fall "
        "below 0.25). With fewer than about ten seeds the bootstrap interval is narrower than 95 %.",
        (
            Column("first"), Column("second"), Column("data"), Column("size"), Column("n", hint="shared seeds"),
            Column("g first − g second"), Column("p (Holm)", probability=True), Column("verdict"),
        ),
        tuple(rows),
    )  # fmt: skip


def accuracy_against_g(analysis: Analysis) -> Table:
    """Return whether accuracy on seen classes ranks the networks as g does."""
    rows = []
    for contest in analysis.contests:
        found = contest.accuracy_and_g
        enough = not math.isnan(found.spearman)
        cells: tuple[Cell, ...] = (
            contest.data, contest.size, found.n, found.spearman, found.spearman_p, found.kendall, found.kendall_p,
            ("exact" if found.exact else "9,999 permutations") if enough else "needs three networks",
        )  # fmt: skip
        rows.append(Row(cells, "", contest.data))
    return Table(
        "accuracy_and_g",
        "Does accuracy on seen classes rank the networks as g does?",
        "A point a network (mean over its seeds); two-sided permutation p. With six or seven networks only a very "
        "strong agreement can be told from none: a large p is not evidence that there is no relation.",
        (
            Column("data"), Column("size"), Column("n", hint="networks"), Column("Spearman ρ", 2),
            Column("p", probability=True), Column("Kendall τ", 2), Column("p (τ)", probability=True), Column("how"),
        ),
        tuple(rows),
    )  # fmt: skip


def transfers(analysis: Analysis) -> Table:
    """Return whether a network's curve is the same on two data sets."""
    rows = [
        Row(
            (
                found.label, found.size, found.first, found.second, f"{found.seeds[0]} / {found.seeds[1]}",
                found.layers, found.agreement.spearman, found.agreement.spearman_p, found.agreement_p,
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
            Column("network"), Column("size"), Column("first"), Column("second"), Column("n", hint="runs of each"),
            Column("layers"), Column("Spearman ρ", 2), Column("p", probability=True),
            Column("p (Holm)", probability=True),
            Column("first − second"), Column("p (Holm, difference)", probability=True),
        ),
        tuple(rows),
    )  # fmt: skip


def all_tables(
    analysis: Analysis, paper: Sequence[PaperRow], found: Sequence[Run], others: Sequence[LeftOut]
) -> dict[str, Table]:
    """Return every table by its name; layer_scores is long and meant for programs."""
    labels = {run.name: setting.group.label for setting in analysis.settings for run in setting.group.runs}
    made = (
        best_layers(analysis), differences(analysis), accuracy_against_g(analysis), depth_shapes(analysis),
        transfers(analysis), controls(analysis), against_the_paper(paper), runs(found, labels), left_out(others),
        layer_scores(analysis),
    )  # fmt: skip
    return {table.name: table for table in made}
