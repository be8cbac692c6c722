"""Embeddings from a file: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseen.encoders.embeddings_file import read_embeddings

GOOD: dict[str, Any] = {
    "images": np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]], dtype=np.float32),
    "texts": np.array([[1.0, 0.5], [0.0, 1.0]]),
    "labels": np.array([0, 1, 0], dtype=np.uint8),
    "names": np.array(["cat", "dog"]),
}


def written(folder: Path, **changed: Any) -> Path:
    path = folder / "task.npz"
    arrays = {**GOOD, **changed}
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


def test_read_as_written(tmp_path: Path) -> None:
    task = read_embeddings(written(tmp_path, other=np.arange(3)))
    assert np.array_equal(task.images, GOOD["images"])
    assert task.images.dtype == np.float32
    assert np.array_equal(task.texts, GOOD["texts"])
    assert task.labels.tolist() == [0, 1, 0]
    assert task.labels.dtype == np.int64
    assert task.names == ("cat", "dog")


def test_classes_without_names_are_numbered(tmp_path: Path) -> None:
    assert read_embeddings(written(tmp_path, names=None)).names == ("0", "1")


def test_a_class_may_have_no_images(tmp_path: Path) -> None:
    assert read_embeddings(written(tmp_path, labels=np.zeros(3, dtype=int))).labels.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"texts": None, "labels": None}, "has no texts and no labels; it must hold images (N, D)"),
        ({"images": np.ones(3)}, "must be a table of real numbers with rows and columns, got shape (3,)"),
        ({"images": np.ones((0, 2))}, "got shape (0, 2)"),
        ({"images": np.ones((3, 2), dtype=complex)}, "complex128"),
        ({"images": np.array([["a", "b"]] * 3)}, "must be a table of real numbers"),
        ({"images": np.array([[1, 2], [3, np.nan], [np.inf, 1]])}, "NaN or infinity in row 1"),
        ({"texts": np.array([[1.0, 0.0], [0.0, 0.0]])}, "zeros only in row 1"),
        ({"texts": np.ones((2, 3))}, "have 2 dimensions and texts 3"),
        ({"texts": np.ones((1, 2)), "labels": np.zeros(3, dtype=int)}, "one class only"),
        ({"labels": np.array([0, 1])}, "must be 3 whole numbers, one for each image, got shape (2,)"),
        ({"labels": np.array([0.0, 1.0, 0.0])}, "float64"),
        ({"labels": np.array([0, 2, 1])}, "have 2; they number the rows of texts, 0..1"),
        ({"labels": np.array([0, -1, 1])}, "have -1;"),
        ({"names": np.array(["cat", "dog", "cow"])}, "more names than classes: 3 names for 2 rows"),
        ({"names": np.array(["cat"])}, "too few names"),
        ({"names": np.array([1, 2])}, "must be a list of texts"),
        (
            {"names": np.array(["cat", "dog"], dtype=object)},
            "cannot be read as an .npz file",
        ),  # pickled: may be code
    ],
)
def test_refused_in_one_sentence(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"task\.npz") as error:
        read_embeddings(written(tmp_path, **changed))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_no_file_another_file_and_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        read_embeddings(tmp_path / "task.npz")
    with pytest.raises(ValueError, match=r"is no \.npz file"):
        read_embeddings(tmp_path / "task.csv")
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"cannot be read as an \.npz file"):
        read_embeddings(path)
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    with pytest.raises(ValueError, match="not a regular file but a folder"):
        read_embeddings(folder)
