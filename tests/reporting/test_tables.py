"""A table in all its forms."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

from unseen.reporting.statistics.intervals import Estimate
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
    assert r"a\_b\textbar{}c & 3 & 0.50 $\pm$ 0.02 [0.48, 0.52] & \textless{} 0.001 \\" in text
    assert text.count(r"\\") == 4


def test_a_narrow_column_leaves_the_deviation_to_the_csv() -> None:
    narrow = Column("g", 2, spread=False)
    assert narrow.text(Estimate(0.5, 0.02, 0.48, 0.52, 3)) == "0.50 [0.48, 0.52]"
    assert narrow.text(Estimate(0.5, 0.02, n=2)) == "0.50 ± 0.02"


def test_latex_of_long_tables_breaks_between_pages_and_names_its_packages() -> None:
    assert to_latex(TABLE).startswith("% needs \\usepackage{booktabs,graphicx}\n\\begin{table}")
    question = replace(TABLE, title="Is it?", rows=TABLE.rows * 14)
    text = to_latex(question)
    assert text.startswith("% needs \\usepackage{booktabs,longtable}\n\\begin{longtable}{lrrr}\n")
    assert r"\caption{Is it? 50 \% of it}\label{tab:small} \\" in text
    assert text.endswith("\\end{longtable}\n")
    assert text.count("\\midrule\n\\endhead") == 1


def test_a_table_without_rows_is_not_written(tmp_path: Path) -> None:
    write_tables([TABLE], tmp_path)
    write_tables([replace(TABLE, rows=())], tmp_path)
    assert list(tmp_path.iterdir()) == []


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
