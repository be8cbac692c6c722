"""The typefaces: the same pixels everywhere, complete, and a sentence where fonts are missing."""

import hashlib
import importlib.util

import numpy as np
import pytest

from unseen.data.catalog import DataUnavailableError
from unseen.data.sources.typefaces import _PACKAGES, FACES, IMAGES_OF_EACH, Typefaces, _font

# Of Pillow 13.0.0 with FreeType 2.14; another version may draw other pixels, and is another data set then.
PIXELS = "0ea3ea5d656fc097d582b731fa83f4c64e513da9c37a55f42696f60e9c8fb819"


def test_the_pixels_are_those_of_the_pinned_pillow():
    source = Typefaces()
    pictures = [source.read(entry.reference) for entry in source.list().entries]
    assert {(picture.size, picture.mode) for picture in pictures} == {((64, 64), "RGB")}
    assert hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).hexdigest() == PIXELS


def test_25_faces_of_12_packages_five_of_families_that_are_not_trained_on():
    source = Typefaces()
    counts = source.list().counts()
    assert counts == source.known_counts()
    assert len(counts) == 25
    assert {sum(parts.values()) for parts in counts.values()} == {IMAGES_OF_EACH}
    unseen = source.default_unseen
    seen_families = {FACES[face][1] for face in FACES if face not in unseen}
    assert len({FACES[face][1] for face in unseen} - seen_families) == len(unseen) == 5
    assert len(_PACKAGES) == 12


def test_pictures_are_black_on_white_and_differ():
    source = Typefaces()
    pixels = [np.asarray(source.read(f"Lato-Regular/{i:02d}")) for i in range(IMAGES_OF_EACH)]
    assert len({picture.tobytes() for picture in pixels}) == IMAGES_OF_EACH
    for picture in pixels:
        assert picture.max() == 255
        assert picture.min() < 64
        assert (picture > 128).mean() > 0.5


def test_every_face_has_every_character_of_its_own():
    for face in FACES:
        font, missing = _font(face, 40), _font(face, 40).getmask("\uffff")
        for character in "AQgly09":
            drawn = font.getmask(character)
            assert drawn.size != missing.size or bytes(drawn) != bytes(missing), (face, character)


def test_stamps_change_with_the_fonts_file_only():
    source = Typefaces()
    stamps = source.stamps(["Lato-Regular/00", "Lato-Regular/01", "Roboto-Thin/00"])
    assert stamps is None or (stamps[0] == stamps[1] != stamps[2])  # None: just installed


def test_missing_fonts_are_named_with_the_line_that_installs_them(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("font_lato", "font_rhd") else find(name)
    )
    with pytest.raises(DataUnavailableError) as caught:
        Typefaces().check()
    assert "pip install font-lato==0.1.0 font-rhd==0.1.3;" in str(caught.value)
    assert "font-roboto" not in str(caught.value)


def test_a_root_has_no_meaning():
    with pytest.raises(ValueError, match=r"data\.root=x has no meaning for data=typefaces"):
        Typefaces(root="x").check()
