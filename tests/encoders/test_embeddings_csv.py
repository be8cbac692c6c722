"""Embeddings in the CSV files of arXiv 2407.15731's code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unseen.encoders.embeddings_file import read_embeddings

IMAGES, TEXTS = "1,2,0\n3,4,1\n", "1,0\n0,1\n"


def pair(folder: Path, images: str = IMAGES, texts: str = TEXTS, ending: str = "_zs") -> Path:
    path = folder / f"clip_DTD_image_embeddings{ending}.csv"
    path.write_text(images)
    (folder / f"clip_DTD_text_embeddings{ending}.csv").write_text(texts)
    return path


@pytest.mark.parametrize("ending", ["", "_zs"])
def test_as_the_authors_write_them(tmp_path: Path, ending: str) -> None:
    # np.savetxt(..., fmt="%1.8f", delimiter=","), the label behind the features
    images = "0.50000000,-1.00000000,1.00000000\n0.25000000,2.00000000,0.00000000\n"
    task = read_embeddings(pair(tmp_path, images, ending=ending))
    assert task.images.tolist() == [[0.5, -1], [0.25, 2]]
    assert task.labels.tolist() == [1, 0]
    assert task.texts.tolist() == [[1, 0], [0, 1]]
    assert (task.task, task.names) == ("clip_DTD", ("0", "1"))


@pytest.mark.parametrize(
    ("images", "texts", "message"),
    [
        (IMAGES * 2, TEXTS, "has its first 2 rows 2 times"),
        (IMAGES, TEXTS * 3, "has its first 2 rows 3 times"),
        ("1,2,0.5\n3,4,1\n", TEXTS, "has 0.5 in its last column, which must hold whole labels"),
        ("1,2,nan\n3,4,1\n", TEXTS, "has nan in its last column"),
        ("1,2,0\n3,4\n", TEXTS, "cannot be read as a table of numbers"),
        ("a,b,label\n1,2,0\n", TEXTS, "cannot be read as a table of numbers"),
        ("1,2,0\n3,4,2\n", TEXTS, "have 2; they number the rows of texts, 0..1"),
        (IMAGES, "1,0,3\n0,1,3\n", "have 2 dimensions and texts 3"),
        ("", TEXTS, "must be a table of real numbers with rows and columns"),
    ],
)
def test_refused_in_one_sentence(tmp_path: Path, images: str, texts: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_embeddings(pair(tmp_path, images, texts))


def test_rows_that_are_equal_by_chance_stay(tmp_path: Path) -> None:
    assert len(read_embeddings(pair(tmp_path, "1,2,0\n1,2,0\n3,4,1\n")).images) == 3


def test_a_file_without_its_partner(tmp_path: Path) -> None:
    path = pair(tmp_path)
    (tmp_path / "clip_DTD_text_embeddings_zs.csv").unlink()
    with pytest.raises(ValueError, match=r"there is no file .*clip_DTD_text_embeddings_zs\.csv"):
        read_embeddings(path)
    with pytest.raises(ValueError, match=r"is not called \.\.\._image_embeddings\.csv"):
        read_embeddings(tmp_path / "rows.csv")
