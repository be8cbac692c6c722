"""A table in all its forms."""

import csv
import io
import math
from pathlib import Path

from unseen.reporting.intervals import Estimate
from unseen.reporting.tables import (
    LONGEST_FOR_PEOPLE,
    Column,
    Row,
    Table,
    sort_value,
    to_csv,
    to_latex,
    to_markdown,
    write_tables,
)

TABLE = Table(
    "small",
    "A & B",
    "50 % of it",
    (Column("name"), Column("n"), Column("g", 2), Column("p", probability=True)),
    (
        Row(("a_b|c", 3, Estimate(0.5, 0.02, 0.48, 0.52, 3), 0.00001)),
        Row(("x", 1, Estimate(0.25, 0.0, math.nan, math.nan, 1), math.nan)),
        Row(("y", 0, Estimate(math.nan, math.nan, math.nan, math.nan, 0), None)),
    ),
)


def test_csv_keeps_every_bit_and_every_part() -> None:
    rows = list(csv.reader(io.StringIO(to_csv(TABLE))))
    assert rows[0] == ["name", "n", "g", "g std", "g low", "g high", "g n", "p"]
    assert rows[1] == ["a_b|c", "3", "0.5", "0.02", "0.48", "0.52", "3", "1e-05"]
    assert rows[2] == ["x", "1", "0.25", "0.0", "", "", "1", ""]
    assert rows[3] == ["y", "0", "", "", "", "", "0", ""]


def test_no_text_is_a_formula_to_a_spreadsheet_and_numbers_stay() -> None:
    texts = ("=cmd|' /C calc'!A0", "+1", "-m", "@x", "\tx", " =1", "a=b", "−0.5")
    table = Table("t", "", "", (Column("text"), Column("n")), tuple(Row((text, -0.5)) for text in texts))
    rows = list(csv.reader(io.StringIO(to_csv(table), newline="")))[1:]
    assert [row[0] for row in rows] == [f"'{text}" for text in texts[:6]] + ["a=b", "−0.5"]
    assert {row[1] for row in rows} == {"-0.5"}


def test_markdown() -> None:
    assert to_markdown(TABLE) == (
        "**A & B**\n\n"
        "| name | n | g | p |\n"
        "| --- | --: | --: | --: |\n"
        "| a_b\\|c | 3 | 0.50 ± 0.02 [0.48, 0.52] | < 0.001 |\n"
        "| x | 1 | 0.25 (n = 1) | – |\n"
        "| y | 0 | – | – |\n\n"
        "50 % of it\n"
    )


def test_latex_escapes_what_it_must() -> None:
    text = to_latex(TABLE)
    assert r"\caption{A \& B. 50 \% of it}" in text
    assert r"\begin{tabular}{lrrr}" in text
    assert r"a\_b|c & 3 & 0.50 $\pm$ 0.02 [0.48, 0.52] & \textless{} 0.001 \\" in text
    assert text.count(r"\\") == 4


def test_sorting_goes_by_the_number_behind_the_text() -> None:
    assert [sort_value(cell) for cell in TABLE.rows[0].cells] == [None, 3.0, 0.5, 0.00001]
    assert [sort_value(cell) for cell in TABLE.rows[2].cells] == [None, 0.0, None, None]


def test_long_tables_are_for_programs_only(tmp_path: Path) -> None:
    long = Table("long", "", "", (Column("n"),), tuple(Row((n,)) for n in range(LONGEST_FOR_PEOPLE + 1)))
    write_tables([TABLE, long], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "long.csv",
        "small.csv",
        "small.md",
        "small.tex",
    ]
