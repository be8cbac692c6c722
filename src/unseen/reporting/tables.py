"""The tables of the report, each in every form: rows for the page, CSV for programs, Markdown and LaTeX for papers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unseen.atomic_files import csv_text, write_text
from unseen.probe_table import HEADINGS
from unseen.reporting.analysis import Analysis, Difference
from unseen.reporting.collect import Collection
from unseen.reporting.configuration import Configuration
from unseen.reporting.papers import DATA_SETS, NETWORKS, PROBES, TOLERANCE, PaperRow
from unseen.reporting.statistics import Estimate
from unseen.reporting.summary import SIGNIFICANT
from unseen.scores import CHANCE_PROBE, SPLITS
from unseen.wording import count

Cell = str | int | float | Estimate | None
_NOT_MEASURED = "not measured"
_INTERVAL = "mean ± standard deviation (ddof 0) [95 % bootstrap interval over seeds]"
_PARTS = ("", " std", " low", " high", " n")  # of an estimate in CSV
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "−": "$-$", "×": r"$\times$",
    "τ": r"$\tau$", "ρ": r"$\rho$", "≤": r"$\leq$", "<": r"\textless{}", ">": r"\textgreater{}", "→": r"$\to$",
})  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    heading: str
    digits: int = 3  # after the point
    hint: str = ""  # shown when a person points at the heading
    probability: bool = False  # holds p-values: none is shown as zero

    def text(self, cell: Cell) -> str:
        """Return a cell of this column as a person reads it.

        >>> Column("p", probability=True).text(0.0002)
        '< 0.001'
        """
        if self.probability and isinstance(cell, float) and cell < 10**-self.digits:
            return f"< {10**-self.digits:.{self.digits}f}"
        return shown(cell, self.digits)


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    cells: tuple[Cell, ...]  # an Estimate is shown with its spread and interval, NaN and None as a dash
    model: str = ""  # by which the page filters; "" is always shown
    data: str = ""
    mark: str = ""  # style on the page: best, failed or ""


@dataclass(frozen=True)
class Table:
    """A table with its title and a note on what the numbers are and how far they can be trusted."""

    name: str  # of its files
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers only."""
        kinds = [{type(row.cells[place]) for row in self.rows} for place in range(len(self.columns))]
        return tuple(bool(kind - {type(None)}) and str not in kind for kind in kinds)


def shown(cell: Cell, digits: int = 3) -> str:
    """Return a cell as a person reads it.

    >>> shown(Estimate(0.5, 0.02, 0.48, 0.52, 3)), shown(Estimate(0.5, 0.0, n=1))
    ('0.500 ± 0.020 [0.480, 0.520]', '0.500 (one run)')
    >>> shown(None), shown(-0.25, 2), shown(3)
    ('–', '−0.25', '3')
    """
    if isinstance(cell, Estimate):
        mean, std, low, high = (shown(part, digits) for part in (cell.mean, cell.std, cell.low, cell.high))
        return (
            mean if cell.n == 0 else f"{mean} (one run)" if cell.n == 1 else f"{mean} ± {std} [{low}, {high}]"
        )
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    return f"{cell:.{digits}f}".replace("-", "−") if isinstance(cell, float) else str(cell)


def sort_value(cell: Cell) -> float | None:
    """Return the number by which a cell is sorted, None where it sorts by its text or comes last."""
    value = cell.mean if isinstance(cell, Estimate) else cell
    if isinstance(value, str) or value is None or math.isnan(value):
        return None
    return float(value)


def to_csv(table: Table) -> str:
    """Return the table as CSV at full precision; an estimate becomes mean, std, low, high and n.

    No text is left as a spreadsheet would run it as a formula.
    """
    columns = range(len(table.columns))
    wide = [any(isinstance(row.cells[at], Estimate) for row in table.rows) for at in columns]
    heading: list[str] = []
    for at in columns:
        heading += [table.columns[at].heading + part for part in (_PARTS if wide[at] else _PARTS[:1])]
    rows = []
    for row in table.rows:
        cells: list[Cell] = []
        for at, cell in enumerate(row.cells):
            if isinstance(cell, Estimate):
                cells += [cell.mean, cell.std, cell.low, cell.high, cell.n]
            else:
                cells += [cell, *[None] * (len(_PARTS) - 1)] if wide[at] else [cell]
        rows.append([None if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells])
    return csv_text(heading, rows)


def to_markdown(table: Table) -> str:
    """Return the table as GitHub Markdown, its note below."""
    rows = [
        [column.heading for column in table.columns],
        ["--:" if number else "---" for number in table.numeric],
        *(_texts(table, row) for row in table.rows),
    ]
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows
    ]
    return f"**{table.title}**\n\n" + "\n".join(lines) + (f"\n\n{table.note}\n" if table.note else "\n")


def to_latex(table: Table) -> str:
    """Return the table as a LaTeX table that needs the package booktabs."""
    kinds = "".join("r" if number else "l" for number in table.numeric)
    texts = [[column.heading for column in table.columns], *(_texts(table, row) for row in table.rows)]
    heading, *body = (" & ".join(text.translate(_LATEX) for text in row) + r" \\" for row in texts)
    caption = f"{table.title}. {table.note}".translate(_LATEX)
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{caption}}}",
        rf"\label{{tab:{table.name.replace('_', '-')}}}", rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", heading,
        r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _texts(table: Table, row: Row) -> list[str]:
    return [column.text(cell) for cell, column in zip(row.cells, table.columns, strict=True)]


FORMS = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
LONGEST_FOR_PEOPLE = 600  # rows


def forms_of(table: Table) -> tuple[str, ...]:
    """Return the endings of its files: CSV always, Markdown and LaTeX where a person can read that many rows."""
    return tuple(FORMS) if len(table.rows) <= LONGEST_FOR_PEOPLE else ("csv",)


def write_tables(tables: Sequence[Table], folder: Path) -> None:
    """Write each table as NAME.csv, and one that a person can read as NAME.md and NAME.tex, too."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for ending, form in FORMS.items():
            path = folder / f"{table.name}.{ending}"
            if ending in forms_of(table):
                write_text(path, form(table))
            else:
                path.unlink(missing_ok=True)  # of an earlier report


_RHO = Column("Spearman ρ", 2)
_P = Column("p", probability=True)


def all_tables(analysis: Analysis, papers: Sequence[PaperRow], collection: Collection) -> dict[str, Table]:
    """Return every table by its name; layer_scores is long and meant for programs."""
    made = (
        best_layers(analysis), differences(analysis), accuracy_and_g(analysis), depth_shape(analysis),
        data_set_agreement(analysis), controls(analysis), variants(analysis), not_ranked(analysis),
        against_the_papers(papers), runs(analysis, collection), left_out(collection), layer_scores(analysis),
    )  # fmt: skip
    return {table.name: table for table in made}


def best_layers(analysis: Analysis) -> Table:
    """Return g and the best layer of every configuration."""
    rows = []
    for contest in analysis.contests:
        for config in contest.configurations:
            g, best = config.g, config.g.best_layer
            cells: tuple[Cell, ...] = (
                len(config.runs),
                g.of_mean,
                g.of_runs,
                f"{best} of 0..{config.last_layer} ({config.layer_names[best]})",
                float(config.depths[best]),
                _wins(config),
                g.support,
                "best is last" if config.best_is_last else config.over_last,
                config.over_pixels if config.over_pixels.n else _NOT_MEASURED,
                config.accuracy,
                _NOT_MEASURED if config.noise is None else float(config.noise[best]),
            )
            is_best = config is contest.best and len(contest.configurations) > 1
            rows.append(_row(config, cells, "best" if is_best else ""))
    last = "NMI of the best minus that of the last layer, paired over seeds"
    noise = "standard deviation of the NMI over single k-means starts, at the best layer"
    return Table(
        "best_layers",
        "Best layer and g",
        f"{_INTERVAL}. g: NMI of the unseen classes, largest over layers; the papers average over seeds first and "
        "take the largest layer then. The best layer is chosen on the same runs that score it, which favours it.",
        _columns(
            "network", "data", "size",
            Column("n", hint="runs (seeds)"),
            Column("g", hint="mean over seeds first, then the largest layer (as the papers)"),
            Column("g per run", hint="largest layer of each run, then the mean over seeds"),
            "best layer",
            Column("depth", 2, "0: first, 1: last layer"),
            Column("wins (layer: runs)", hint="in how many runs each layer is the best"),
            Column("support", 2, "share of bootstrap resamples in which this layer is the best"),
            Column("above last layer", hint=last),
            Column("above pixels", hint="NMI of the best layer minus that of the raw pixels"),
            "seen accuracy",
            Column("k-means noise", hint=noise),
        ),
        tuple(rows),
    )  # fmt: skip


def _wins(config: Configuration) -> str:
    wins = config.g.wins
    ranked = sorted(np.flatnonzero(wins).tolist(), key=lambda layer: (-wins[layer], layer))
    return ", ".join(f"{layer}: {wins[layer]} of {wins.sum()}" for layer in ranked)


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
    """Return whether the NMI is monotone over the layers."""
    rows = []
    for config in analysis.configurations:
        shape, trend = config.shape, config.trend
        if not shape.judged_by:
            verdict = "cannot be judged: one run, k-means noise not measured"
        elif shape.sign_changes:
            verdict = "not monotone"
        elif shape.rises or shape.falls:
            verdict = "no change of direction beyond the uncertainty"
        else:
            verdict = "no step beyond the uncertainty"
        steps = (shape.rises, shape.falls, shape.sign_changes) if shape.judged_by else (None, None, None)
        rows.append(
            _row(config, (len(config.runs), len(config.layer_names), trend.value, trend.p, *steps, verdict))
        )
    return Table(
        "depth_shape",
        "Is the NMI monotone over the layers?",
        "Spearman of layer number and mean NMI with a permutation p (exact up to 8 layers; neighbouring layers are "
        "not independent, so p is too small). A step from layer to layer counts where the 95 % interval of its "
        "paired difference over seeds excludes zero (one run: where it exceeds the k-means noise); a change of "
        "direction is a rise after a fall or the reverse. The steps are not corrected for their number.",
        _columns(
            "network", "data", "size", "n", "layers", _RHO, _P, "rises", "falls", "changes of direction", "verdict"
        ),
        tuple(rows),
    )  # fmt: skip


def differences(analysis: Analysis) -> Table:
    """Return the networks of one data set against each other."""
    rows = []
    for contest in analysis.contests:
        for pair in contest.differences:
            where = (contest.title, contest.size)
            labels = (pair.first.label, pair.second.label)
            rows.append(Row((*labels, *where, pair.g.n, pair.g, pair.p, _verdict(pair)), "", contest.data))
    return Table(
        "differences",
        "Networks against each other",
        "Difference of the per-run g, paired by seed: mean ± standard deviation [95 % paired bootstrap interval]; "
        "p by flipping signs, corrected by Holm for the pairs of the data set (with three seeds it cannot fall "
        "below 0.25). With fewer than about ten seeds the bootstrap interval is narrower than 95 %.",
        _columns(
            "first", "second", "data", "size", Column("n", hint="shared seeds"), "g first − g second",
            Column("p (Holm)", probability=True), "verdict",
        ),
        tuple(rows),
    )  # fmt: skip


def _verdict(pair: Difference) -> str:
    if pair.g.n == 0:
        return "no seed in common"
    if pair.g.n == 1:
        return "one shared seed: not distinguished"
    if pair.p < SIGNIFICANT:
        return f"different (p < {SIGNIFICANT})"
    if pair.g.low > 0 or pair.g.high < 0:
        return f"above in {pair.agree} of {pair.g.n} seeds; too few for p < {SIGNIFICANT}"
    return "not distinguished"


def accuracy_and_g(analysis: Analysis) -> Table:
    """Return whether accuracy on seen classes ranks the networks as g does."""
    rows = []
    for contest in analysis.contests:
        rho, tau, data = contest.spearman, contest.kendall, contest.data
        how = "exact" if rho.exact else "9,999 permutations"
        how = "needs three networks" if math.isnan(rho.value) else how
        cells = (contest.title, contest.size, rho.n, rho.value, rho.p, tau.value, tau.p, how)
        rows.append(Row(cells, "", data))
    return Table(
        "accuracy_and_g",
        "Does accuracy on seen classes rank the networks as g does?",
        "A point a network (mean over its seeds); two-sided permutation p. With six or seven networks only a very "
        "strong agreement can be distinguished from none: a large p is not evidence that there is no relation.",
        _columns(
            "data", "size", Column("n", hint="networks"), _RHO, _P, Column("Kendall τ", 2),
            Column("p (τ)", probability=True), "how",
        ),
        tuple(rows),
    )  # fmt: skip


def data_set_agreement(analysis: Analysis) -> Table:
    """Return whether a network's curve is the same on two data sets."""
    rows = []
    for transfer in analysis.transfers:
        first, second, steps = transfer.first, transfer.second, transfer.difference
        agreement = transfer.agreement
        runs = f"{len(first.runs)} / {len(second.runs)}"
        difference = float(steps.mean()) if len(steps) else None
        cells: tuple[Cell, ...] = (
            first.label, first.size, first.data, second.data, runs, len(steps), agreement.value, agreement.p,
            transfer.agreement_p, difference, transfer.difference_p,
        )  # fmt: skip
        rows.append(Row(cells, first.model))
    return Table(
        "data_set_agreement",
        "Does a network's curve look the same on another data set?",
        "Mean NMI curves at equal normalised depths (linear interpolation where the numbers of layers differ). "
        "Spearman with permutation p; difference of the curves with a sign-flip p over layers; both corrected by "
        "Holm for all rows. Neighbouring layers are not independent, so both p are too small.",
        _columns(
            "network", "size", "first", "second", Column("n", hint="runs of each"), "layers", _RHO, _P,
            Column("p (Holm)", probability=True), "first − second", Column("p (Holm, difference)", probability=True),
        ),
        tuple(rows),
    )  # fmt: skip


def controls(analysis: Analysis) -> Table:
    """Return g against chance, k-means noise and destroyed images."""
    rows = []
    for config in analysis.configurations:
        best, g = config.g.best_layer, config.g.of_mean.mean
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
            labels.get(run.name, facts.model), facts.data, facts.size, facts.seed, facts.g, best,
            facts.seen_accuracy, int(run.scores.steps[-1]), facts.seconds, facts.config_hash or "", run.name,
        )  # fmt: skip
        rows.append(Row(cells, facts.model, facts.data))
    columns = _columns(
        "network", "data", "size", "seed", "g", "best layer", "seen accuracy", "step", Column("seconds", 0),
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


def _row(config: Configuration, cells: tuple[Cell, ...], mark: str = "") -> Row:
    """Return a row that begins with the network, the data set and the size."""
    return Row((config.label, config.where, config.size, *cells), config.model, config.data, mark)
