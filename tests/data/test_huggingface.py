"""Data sets of the datasets library, saved to disk."""

from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from unseen.data.catalog import DataUnavailableError
from unseen.data.sources.huggingface import HuggingFaceSet, _load


def pictures(number: int) -> list[Image.Image]:
    return [Image.fromarray(np.full((5, 6, 3), 10 * i, dtype=np.uint8)) for i in range(number)]


def made(number: int, **columns: object) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"image": pictures(number)} | columns).cast_column(
        "image", datasets.Image()
    )


def test_splits_and_named_classes(tmp_path: Path) -> None:
    named = datasets.ClassLabel(names=["ant", "bee"])
    parts = {
        "train": made(4, species=[0, 1, 0, -1]).cast_column("species", named),
        "validation": made(2, species=[1, 1]).cast_column("species", named),
    }
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "set")
    source = HuggingFaceSet(name=str(tmp_path / "set"))
    source.check()
    assert source.list().counts() == {"ant": {"train": 2}, "bee": {"train": 1, "test": 2}}
    assert np.asarray(source.read("train/0000002")).tolist() == np.full((5, 6, 3), 20).tolist()
    train, test = source.stamps(["train/0000000", "test/0000000"])
    assert train.split()[0] != test.split()[0]


def test_one_split_and_texts_as_classes(tmp_path: Path) -> None:
    made(3, label=["owl", "cat", "owl"], photo=["a", "b", "c"]).save_to_disk(tmp_path / "set")
    source = HuggingFaceSet(name=str(tmp_path / "set"))
    assert source.list().counts() == {"cat": {"whole": 1}, "owl": {"whole": 2}}
    for settings, says in (
        ({"label_column": "kind"}, r"data\.label_column=kind is no column; there are image, label, photo"),
        ({"image_column": "photo"}, r"data\.image_column=photo holds Value and no images"),
    ):
        with pytest.raises(ValueError, match=says):
            HuggingFaceSet(name=str(tmp_path / "set"), **settings).list()


def test_columns_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    made(2, kind=["a", "b"]).save_to_disk(tmp_path / "set")
    with pytest.raises(ValueError, match=r"data\.label_column is needed: .* has the columns image, kind"):
        HuggingFaceSet(name=str(tmp_path / "set")).list()


def test_what_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    _load.cache_clear()
    with pytest.raises(DataUnavailableError, match=r"data\.name=us/none is not in .* could not be fetched"):
        HuggingFaceSet(name="us/none", data_dir=str(tmp_path)).prepare()
    with pytest.raises(ValueError, match=r"data\.name is missing"):
        HuggingFaceSet(name="huggingface").check()
