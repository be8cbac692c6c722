"""Sets of templates by name."""

from __future__ import annotations

import pytest

from unseen.encoders.prompt_sets import SETS, SEVEN, prompt_sets


def test_all_sets_in_the_order_typed() -> None:
    found, left_out = prompt_sets(["ensemble", "published", "bare", "photo"], "DTD", own=["{c}!", "{c}?"])
    assert left_out == {}
    assert list(found) == ["ensemble", "published", "bare", "photo", "own"]
    assert found["published"] == ("a photo of a {c} texture",)
    assert found["own"] == ("{c}!", "{c}?")


def test_what_says_nothing_of_its_own_is_left_out() -> None:
    found, left_out = prompt_sets(SETS, "typefaces")
    assert list(found) == ["bare", "photo", "ensemble"]
    assert left_out == {"published": "none are published for typefaces"}
    _, left_out = prompt_sets(["bare"], "digits", own=["{c}"])
    assert left_out == {"own": "it has the captions of bare"}


def test_the_seven_are_those_of_open_clip() -> None:
    library = pytest.importorskip("open_clip")
    assert tuple(template("{c}") for template in library.SIMPLE_IMAGENET_TEMPLATES) == SEVEN
