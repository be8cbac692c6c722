"""The tables that list: controls, printed numbers, runs, folders that were left out."""

from __future__ import annotations

from collections.abc import Sequence

from unseen.reporting.analysis import Analysis
from unseen.reporting.paper import DATA_SETS, NETWORKS, PROBES, TOLERANCE, PaperRow
from unseen.reporting.probe_facts import destroyed_images, references
from unseen.reporting.records import Floats, LeftOut, Run
from unseen.reporting.tables import Cell, Column, Row, Table, shown
from unseen.scores import CHANCE_PROBE

NOT_MEASURED = "not measured"


def controls(analysis: Analysis) -> Table:
    """Return what a sceptic asks for: g against chance, k-means noise and destroyed images."""
    rows = []
    for setting in analysis.settings:
        group, best, g = setting.group, setting.g.best_layer, setting.g.of_mean.mean
        levels = {level.kind: level.values for level in references(group, "unseen", "nmi")}
        chance = level_at(levels.get("chance"), best)
        noise = None if setting.noise is None else float(setting.noise[best])
        destroyed = ", ".join(
            f"{level:g}: {shown(float(values[best]))}" for level, values in destroyed_images(group)
        )
        measured: tuple[Cell, ...] = (
            NOT_MEASURED if chance is None else chance,
            NOT_MEASURED if chance is None else g - chance,
            NOT_MEASURED if noise is None else noise,
            destroyed or NOT_MEASURED,
        )
        rows.append(
            Row((group.label, group.data, group.size, len(group.runs), g, *measured), group.model, group.data)
        )
    return Table(
        "controls",
        "Controls",
        "NMI is above zero by chance: chance is the same clustering scored against permuted labels. k-means noise is "
        "the standard deviation of the NMI over single k-means starts; a difference below about three times this is "
        "within what k-means does by itself (less where several starts are used). Destroyed images: the NMI of the "
        "best layer as noise replaces the images step by step; it must fall to chance.",
        (
            Column("network"), Column("data"), Column("size"), Column("n"), Column("g"),
            Column("chance (permuted labels)"), Column("g above chance"), Column("k-means noise"),
            Column("destroyed images (noise level: NMI)"),
        ),
        tuple(rows),
    )  # fmt: skip


def what_was_measured(analysis: Analysis) -> str:
    """Return which rows the runs have beyond their scores, and how to get those that are missing."""
    settings = analysis.settings
    counts = {
        "NMI by chance (nmi_chance)": sum((("unseen", CHANCE_PROBE) in one.group.probes) for one in settings),
        "k-means noise (nmi_start_sd)": sum(one.noise is not None for one in settings),
        "destroyed images (probe.noise_levels=[0.25,0.5,0.75,1.0])": sum(
            bool(destroyed_images(one.group)) for one in settings
        ),
        "seen accuracy at every step": sum(bool((one.accuracy_of_steps.n > 0).all()) for one in settings),
        "saved embeddings (probe.save_embeddings=true)": sum(
            any(run.embeddings for run in one.group.runs) for one in settings
        ),
    }
    return (
        f"Measured, of {len(settings)} {'setting' if len(settings) == 1 else 'settings'}: "
        + ", ".join(f"{what} in {count or 'none'}" for what, count in counts.items())
        + "."
    )


def against_the_paper(rows: Sequence[PaperRow]) -> Table:
    """Return printed numbers beside ours."""
    found = []
    for row in rows:
        there = row.published
        ours: tuple[Cell, ...] = ("not run", None, None, "not run")
        if row.ours:
            verdict = "within the tolerance" if row.within else "outside the tolerance"
            ours = (row.ours, row.ours.n, row.difference, verdict)
        cells = (
            NETWORKS[there.model],
            DATA_SETS[there.data],
            PROBES[there.split, there.probe],
            there.value,
            *ours,
        )
        found.append(Row((*cells, there.source, there.runs), there.model, there.data))
    return Table(
        "against_the_paper",
        "Against the papers",
        f"Step 500, mean over runs first, then the largest layer. Tolerance {TOLERANCE}: what the two papers differ "
        "by on the same networks. Only runs with size=paper and the papers' own settings stand here; every other "
        "run, above all the demo size, is no reproduction and is left out.",
        (
            Column("network"), Column("data"), Column("score"), Column("printed", 2), Column("ours", 2), Column("n"),
            Column("difference", 2), Column("verdict"), Column("source"), Column("their runs"),
        ),
        tuple(found),
    )  # fmt: skip


def runs(found: Sequence[Run], labels: dict[str, str]) -> Table:
    """Return every run that numbers come from."""
    rows = []
    for run in found:
        facts = run.facts
        best = facts.best_layer
        cells: tuple[Cell, ...] = (
            labels.get(run.name, run.model), run.data, run.size, run.seed, facts.g,
            f"{best} ({facts.best_layer_name})" if best is not None else None,
            facts.seen_accuracy, int(run.scores.steps[-1]), facts.seconds,
            facts.config_hash or "", run.name,
        )  # fmt: skip
        rows.append(Row(cells, run.model, run.data))
    return Table(
        "runs",
        "Runs",
        "Every finished run; its config.yaml is in its folder.",
        (
            Column("network"), Column("data"), Column("size"), Column("seed"), Column("g"), Column("best layer"),
            Column("seen accuracy"), Column("step"), Column("seconds", 0), Column("config hash"), Column("folder"),
        ),
        tuple(rows),
    )  # fmt: skip


def left_out(found: Sequence[LeftOut]) -> Table:
    """Return every folder that no number comes from."""
    rows = tuple(
        Row(
            (one.status, one.reason, one.model, one.data, one.size, one.seed, one.name),
            one.model,
            one.data,
            "failed",
        )
        for one in found
    )
    headings = ("status", "reason", "network", "data", "size", "seed", "folder")
    return Table(
        "left_out",
        "Folders that were left out",
        "None of them is in any mean.",
        tuple(Column(heading) for heading in headings),
        rows,
    )


def level_at(values: Floats | None, layer: int) -> float | None:
    """Return a level (L,) or (1,) at a layer, None where there is no level."""
    return None if values is None else float(values[layer if len(values) > 1 else 0])
