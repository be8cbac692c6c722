"""How many images and which captions the measures need: sample_need.csv and prompts.csv of runs of transfer.py.

A folder may have been made by anyone: a file that is not as a run writes it is left out, with the reason.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TypeVar

from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.by_key import by_key
from unseen.reporting.number_texts import signed
from unseen.reporting.statistics.claims import OF_A_PAGE, SIGNIFICANT
from unseen.reporting.tables import Column, Row, Table
from unseen.reporting.texts import one_line, printable
from unseen.reporting.transfer.transfer_runs import TransferRun
from unseen.wording import count

_LARGEST = 16 * MEBIBYTE
_IIMM = "iimm"


@dataclass(frozen=True)
class Need:
    """A measure on subsets of the images of one task, all of one share; NaN where it has no value."""

    task: str
    share: float
    measure: str
    sd: float  # over the subsets
    deviation: float  # of their mean from the value on all images


@dataclass(frozen=True)
class CaptionDifference:
    """A measure of one task with a set of captions; NaN in differences of the set named first."""

    task: str
    prompts: str
    measure: str
    value: float
    difference: float
    p: float  # by Holm for all differences of the task


Made = TypeVar("Made", Need, CaptionDifference)


def needs_and_captions(runs: Sequence[TransferRun]) -> tuple[list[str], list[Table]]:
    """Return sentences and tables on the runs' sample_need.csv and prompts.csv; those that are not there are passed."""
    problems: list[str] = []
    needs = [row for run in runs for row in _read(run, "sample_need.csv", _need, problems)]
    captions = [row for run in runs for row in _read(run, "prompts.csv", _caption, problems)]
    tables = [_need_table(needs), _caption_table(captions)]
    return [*_need_sentences(needs), *_caption_sentences(captions), *problems], tables


def _read(
    run: TransferRun, file: str, make: Callable[[str, dict[str, str]], Made], problems: list[str]
) -> list[Made]:
    path: Path = run.folder / file
    if not path.exists():
        return []
    task = f"{run.facts.data} ({run.facts.model})"
    try:
        return [make(task, row) for row in csv.DictReader(StringIO(read_text(path, _LARGEST)))]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        problems.append(f"{run.name}: {file} is not as transfer.py writes it ({one_line(error)}).")
        return []


def _number(cell: str | None) -> float:
    if cell is None:
        raise ValueError("a row is cut short")
    value = float(cell or "nan")
    if math.isinf(value):
        raise ValueError(f"{cell!r} is not a finite number")
    return value


def _need(task: str, row: dict[str, str]) -> Need:
    measure = printable(row["measure"], 40)
    return Need(task, _number(row["share"]), measure, _number(row["sd"]), _number(row["deviation"]))


def _caption(task: str, row: dict[str, str]) -> CaptionDifference:
    return CaptionDifference(
        task, printable(row["prompts"], 40), printable(row["measure"], 40), _number(row["value"]),
        _number(row["difference"]), _number(row["p_holm"]),
    )  # fmt: skip


# ------------------------------------------------------------------ how many images
def _by_share(needs: Sequence[Need]) -> dict[tuple[str, float], list[Need]]:
    """Return the tasks of each measure and share that have a value."""
    known = [row for row in needs if not math.isnan(row.deviation) and not math.isnan(row.sd)]
    return dict(sorted(by_key(known, lambda row: (row.measure, row.share)).items()))


def _need_sentences(needs: Sequence[Need]) -> list[str]:
    shares = [
        f"at a share of {share:g} by at most {max(abs(row.deviation) for row in rows):.3f} in the mean, and "
        f"{max(row.sd for row in rows):.3f} (standard deviation) from one subset to another"
        for (measure, share), rows in _by_share(needs).items()
        if measure == _IIMM
    ]
    if not shares:
        return []
    tasks = len({row.task for row in needs})
    return [
        f"The IIMM of random subsets of the images differs from that of all of them, over {count(tasks, 'task')}, "
        f"{'; '.join(shares)}. Subsets are of one set of images, so fresh images vary by more."
    ]


def _need_table(needs: Sequence[Need]) -> Table:
    tasks = {row.task for row in needs}
    rows = [
        Row(
            (
                measure, share, f"{len(of)} of {len(tasks)}", sum(row.sd for row in of) / len(of),
                max(row.sd for row in of), max(of, key=lambda row: abs(row.deviation)).deviation,
            )
        )
        for (measure, share), of in _by_share(needs).items()
    ]  # fmt: skip
    return Table(
        "sample_need", "Measures on random subsets of the images",
        "Standard deviation over the subsets of one share, mean and largest over the tasks in which every subset has "
        "a value; and the largest difference of the subsets' mean from the value on all images of the task.",
        (
            Column("measure"), Column("share", 2), Column("tasks"), Column("mean sd"), Column("largest sd"),
            Column("largest deviation"),
        ),
        tuple(rows),
    )  # fmt: skip


# ------------------------------------------------------------------ which captions
def _caption_sentences(rows: Sequence[CaptionDifference]) -> list[str]:
    sentences = []
    for measure in (_IIMM, "accuracy"):
        of_measure = [row for row in rows if row.measure == measure]
        compared = [row for row in of_measure if not math.isnan(row.difference)]
        first = next((row.prompts for row in of_measure if math.isnan(row.difference)), "")
        parts = []
        for name, of_set in by_key(compared, lambda row: row.prompts).items():
            shown = [row for row in of_set if row.p <= SIGNIFICANT and row.p * len(of_set) <= OF_A_PAGE]
            moved = [row.difference for row in of_set]
            parts.append(
                f"in {len(shown)} of {count(len(of_set), 'run')} with {name} "
                f"(differences {signed(min(moved), '+.3f')} to {signed(max(moved), '+.3f')})"
            )
        if parts:
            sentences.append(
                f"{measure} is shown to differ from that with captions {first}, by a test over images, all differences "
                f"of all runs counted, {'; '.join(parts)}."
            )
    return sentences


def _caption_table(rows: Sequence[CaptionDifference]) -> Table:
    made = [Row((row.task, row.prompts, row.measure, row.value, row.difference, row.p)) for row in rows]
    return Table(
        "prompts", "Measures with several sets of captions",
        "The difference is from the set of captions that is named first, over the same images; p by Holm for all "
        "differences of the task.",
        (
            Column("task"), Column("captions"), Column("measure"), Column("value"), Column("− first"),
            Column("p (Holm)", probability=True),
        ),
        tuple(made),
    )  # fmt: skip
