"""Embeddings from a file: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseen.encoders.embeddings_file import Embeddings, read_embeddings

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


def test_all_that_is_saved_is_read_again(tmp_path: Path) -> None:
    made = Embeddings(
        GOOD["images"],
        GOOD["texts"],
        GOOD["labels"].astype(np.int64),
        ("cat", "dog"),
        probabilities=np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]]),
        label_embeddings=np.ones((3, 2, 4)),
        encoder="composed (a + b)",
        task="pets",
        composed=True,
        label_models="demo",
    )
    with (tmp_path / "saved.npz").open("wb") as file:
        made.save(file)
    read = read_embeddings(tmp_path / "saved.npz")
    assert (read.names, read.encoder, read.task) == (made.names, made.encoder, "pets")
    assert (read.composed, read.label_models) == (True, "demo")
    for name, values in made.arguments().items():
        assert np.array_equal(read.arguments()[name], values)
        assert read.arguments()[name].dtype == values.dtype
    assert set(read.arguments()) == {"images", "texts", "labels", "probabilities", "label_embeddings"}
    plain = read_embeddings(written(tmp_path))
    assert (plain.encoder, plain.task, plain.composed) == ("", "task", False)
    assert set(plain.arguments()) == {"images", "texts", "labels"}


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
        ({"probabilities": np.ones((2, 2))}, "must be 3 rows of numbers from 0 to 1, one for each image"),
        ({"probabilities": np.array([[1.0, 0], [0, 1], [-0.5, 1.5]])}, "the least -0.5"),
        ({"label_embeddings": np.ones((3, 4))}, "must be an array (K, 2, E), a vector of each class"),
        ({"encoder": np.array(["a", "b"])}, "encoder of"),
        ({"task": np.array("a\nb")}, "must be one printable text of at most 200 characters"),
        ({"composed": np.array("yes")}, "must be true or false"),
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
        read_embeddings(tmp_path / "task.npy")
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        ValueError, match=r"cannot be read as an \.npz file: it is damaged, or of another format"
    ):
        read_embeddings(path)
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    with pytest.raises(ValueError, match="not a regular file but a folder"):
        read_embeddings(folder)
