"""Letters and faces: complete, divided by typeface, the pixels of the fonts and of scikit-image's file."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data as photographs

from unseen.data.catalog import DataUnavailableError
from unseen.data.sources.faces import Faces
from unseen.data.sources.letters import Letters
from unseen.data.sources.typefaces import FACES


def test_no_family_of_a_tested_letter_is_trained_on() -> None:
    catalog = Letters().list()
    assert catalog.counts() == Letters().known_counts()
    assert list(catalog.counts()) == list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert all(of == {"train": 40, "test": 20} for of in catalog.counts().values())
    families: dict[str, set[str]] = {"train": set(), "test": set()}
    for entry in catalog.entries:
        families[entry.part].add(FACES[entry.reference.split("/")[1]][1])
    assert len(families["test"]) == 5
    assert not families["test"] & families["train"]


def test_a_picture_is_of_its_letter_and_the_same_in_every_run() -> None:
    source = Letters()
    pictures = {name: np.asarray(source.read(name)) for name in ("I/Roboto-Thin/0", "W/Roboto-Thin/0")}
    dark = {name: int((picture < 128).any(axis=(0, 2)).sum()) for name, picture in pictures.items()}
    assert 0 < dark["I/Roboto-Thin/0"] < 10  # columns: a stroke
    assert dark["W/Roboto-Thin/0"] > 25
    assert (np.asarray(source.read("I/Roboto-Thin/0")) == pictures["I/Roboto-Thin/0"]).all()
    assert (np.asarray(source.read("I/Roboto-Thin/1")) != pictures["I/Roboto-Thin/0"]).any()


def test_stamps_of_letters_are_those_of_the_fonts() -> None:
    stamps = Letters().stamps(["A/Lato-Regular/0", "B/Lato-Regular/1", "A/Roboto-Thin/0"])
    assert stamps is None or (stamps[0] == stamps[1] != stamps[2])  # None: just installed


def test_faces_come_first_in_the_file() -> None:
    source, whole = Faces(), photographs.lfw_subset()
    assert source.list().counts() == source.known_counts() == {
        "face": {"whole": 100}, "background": {"whole": 100},
    }  # fmt: skip
    for reference, row in (("face/00", 0), ("face/99", 99), ("background/00", 100), ("background/07", 107)):
        pixels = np.asarray(source.read(reference))
        assert pixels.shape == (25, 25, 3)
        np.testing.assert_array_equal(pixels[:, :, 0], np.round(255 * whole[row]))


@pytest.mark.parametrize("source", [Letters(root="x"), Faces(root="x")])
def test_a_root_has_no_meaning(source: Letters | Faces) -> None:
    with pytest.raises(ValueError, match=r"data\.root=x has no meaning for data=(letters|faces)"):
        source.check()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseen.data.sources.faces.find_spec", lambda name: None)
    with pytest.raises(DataUnavailableError, match="pip install"):
        Faces().check()
