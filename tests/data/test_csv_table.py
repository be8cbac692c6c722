"""A table of paths and labels."""

from pathlib import Path

import pytest

from unseen.data.sources.csv_table import CsvTable


def table(photos: Path, text: str) -> CsvTable:
    path = photos / "table.csv"
    path.write_text(text, encoding="utf-8-sig")
    return CsvTable(root=str(path))


def test_rows_are_images_and_other_columns_are_not_read(photos: Path) -> None:
    source = table(photos, 'id,Path,label\n1,bear/00.png,brown,,\n2,"cat/01.png",soft\n3,dog/02.png,soft\n')
    assert source.known_counts() == {"brown": {"whole": 1}, "soft": {"whole": 2}}
    assert source.read("cat/01.png").size == (48, 40)
    divided = table(photos, "path,label,split\nbear/00.png,a,train\ncat/01.png,a,VAL\n")
    assert divided.known_counts() == {"a": {"train": 1, "test": 1}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\na,b\n", "lacks path in its first line; .* it has file, label$"),
        (
            "path;label\na.png;x\n",
            "lacks path and label .* it has path;label; columns are separated by commas",
        ),
        ("path,label,Label\na.png,x,y\n", "has the column label twice"),
        ("path,label\na,b.png,x\n", "line 2: more values .*; a value with a comma in it needs quotes"),
        ('path,label\n"a.png,x\n' + "b.png,y\n" * 20_000, "is a quote not closed"),
        ("path,label\n", "has no rows"),
        ("path,label\na.png,\n", "line 2: path and label must not be empty"),
        ("path,label\na.png,x\na.png,y\n", "line 3: a.png is there twice"),
        ("path,label\nb/a.png,x\nc/../b/./a.png,y\n", "line 3: c/../b/./a.png is there twice"),
        ("path,label,split\na.png,x,dev\n", "line 2: split='dev' is not one of train, test, val"),
    ],
)
def test_mistakes(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        table(tmp_path, text).check()


def test_a_table_that_is_missing() -> None:
    with pytest.raises(ValueError, match=r"data\.root is missing"):
        CsvTable().check()
    with pytest.raises(ValueError, match=r"data\.root=/no/x\.csv is not a file"):
        CsvTable(root="/no/x.csv").check()
