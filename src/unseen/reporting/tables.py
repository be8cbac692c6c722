"""A table in every form: rows for the page, CSV for programs, Markdown and LaTeX for papers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unseen.atomic_files import csv_text, write_text
from unseen.reporting.latex_text import latex_needs, latex_row, latex_text
from unseen.reporting.number_texts import signed
from unseen.reporting.statistics.intervals import Estimate

Cell = str | int | float | Estimate | None
_PARTS = ("", " std", " low", " high", " n")  # of an estimate in CSV


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    heading: str
    digits: int = 3  # after the point
    hint: str = ""  # shown when a person points at the heading
    probability: bool = False  # holds p-values: none is shown as zero
    spread: bool = True  # show the standard deviation of an estimate that has an interval

    def text(self, cell: Cell) -> str:
        """Return a cell of this column as a person reads it.

        >>> Column("p", probability=True).text(0.0002)
        '< 0.001'
        """
        if self.probability and isinstance(cell, float) and cell < 10**-self.digits:
            return f"< {10**-self.digits:.{self.digits}f}"
        text = shown(cell, self.digits)
        if not self.spread and isinstance(cell, Estimate) and text.endswith("]") and " ±" in text:
            return text[: text.index(" ±")] + text[text.index(" [") :]
        return text


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

    >>> shown(Estimate(0.5, 0.02, 0.48, 0.52, 3)), shown(Estimate(0.5, 0.02, n=2)), shown(Estimate(0.5, n=1))
    ('0.500 ± 0.020 [0.480, 0.520]', '0.500 ± 0.020', '0.500 (n = 1)')
    >>> shown(None), shown(-0.25, 2), shown(3)
    ('–', '−0.25', '3')
    """
    if isinstance(cell, Estimate):
        mean, std, low, high = (shown(part, digits) for part in (cell.mean, cell.std, cell.low, cell.high))
        if cell.n < 2:
            return f"{mean} (n = 1)" if cell.n else mean
        spread = "" if math.isnan(cell.std) else f" ± {std}"
        return f"{mean}{spread}" if math.isnan(cell.low) else f"{mean}{spread} [{low}, {high}]"
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    return signed(cell, f".{digits}f") if isinstance(cell, float) else str(cell)


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
    """Return the table as a LaTeX table, a long one as longtable; its first line names the packages it needs."""
    kinds = "".join("r" if number else "l" for number in table.numeric)
    texts = [[column.heading for column in table.columns], *(_texts(table, row) for row in table.rows)]
    heading, *body = map(latex_row, texts)
    title = table.title if table.title.endswith("?") else f"{table.title}."
    caption = rf"\caption{{{latex_text(f'{title} {table.note}')}}}"
    long = len(table.rows) > _LONGEST_ON_A_PAGE
    every = "".join([title, table.note, *(cell for row in texts for cell in row)])
    needs = latex_needs(every, "booktabs", "longtable" if long else "graphicx")
    label, rules = rf"\label{{tab:{table.name.replace('_', '-')}}}", (r"\toprule", heading, r"\midrule")
    if long:
        lines = [
            needs, rf"\begin{{longtable}}{{{kinds}}}", rf"{caption}{label} \\",
            *rules, r"\endfirsthead", *rules, r"\endhead", r"\bottomrule", r"\endlastfoot", *body, r"\end{longtable}",
        ]  # fmt: skip
    else:
        lines = [
            needs, r"\begin{table}", r"\centering", caption, label,
            r"\sbox0{%", rf"\begin{{tabular}}{{{kinds}}}", *rules, *body, r"\bottomrule", r"\end{tabular}}%",
            # made smaller where it is wider than the page
            r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi", r"\end{table}",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _texts(table: Table, row: Row) -> list[str]:
    return [column.text(cell) for cell, column in zip(row.cells, table.columns, strict=True)]


FORMS = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
LONGEST_FOR_PEOPLE = 600  # rows
_LONGEST_ON_A_PAGE = 40  # rows of a LaTeX table that does not break


def forms_of(table: Table) -> tuple[str, ...]:
    """Return the endings of its files: none without rows; Markdown and LaTeX where a person can read that many."""
    if not table.rows:
        return ()
    return tuple(FORMS) if len(table.rows) <= LONGEST_FOR_PEOPLE else ("csv",)


def write_tables(tables: Sequence[Table], folder: Path) -> None:
    """Write each table that has rows as NAME.csv, and one that a person can read as NAME.md and NAME.tex, too."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for ending, form in FORMS.items():
            path = folder / f"{table.name}.{ending}"
            if ending in forms_of(table):
                write_text(path, form(table))
            else:
                path.unlink(missing_ok=True)  # of an earlier report
