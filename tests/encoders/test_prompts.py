"""Captions as published, one's own, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from unseen.encoders.prompts import Prompts, published


@pytest.mark.parametrize(
    ("dataset", "of_class", "caption"),
    [
        ("Cars", "AM_General Hummer", "a photo of a AM General Hummer"),
        ("CIFAR100", "aquarium_fish", "a photo of a aquarium_fish"),
        ("DTD", "polka-dotted", "a photo of a polka-dotted texture"),
        ("FMoW", "airport_hangar", "a satellite image of a airport hangar"),
        ("FMoW", "race_track", "a satellite image of a race_track"),
        ("RESISC45", "golf_course", "satellite imagery of golf course"),
        ("STL10", "ship", "a photo of a ship"),
        ("SUN397", "apartment_building/outdoor", "a photo of a apartment building outdoor"),
    ],
)
def test_published_captions(dataset: str, of_class: str, caption: str) -> None:
    prompts = published(dataset)
    assert prompts is not None
    assert prompts.captions([of_class]) == [[caption]]


def test_published_names_of_classes_without_names() -> None:
    eurosat = ["AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial"]
    eurosat += ["Pasture", "PermanentCrop", "Residential", "River", "SeaLake"]
    assert published("EuroSAT").captions(eurosat)[2] == [  # type: ignore[union-attr]
        "a centered satellite photo of a brushland or shrubland"
    ]
    signs = published("gtsrb").captions([f"{sign:05d}" for sign in range(43)])  # type: ignore[union-attr]
    assert signs[14] == [
        'a photo of a "stop" traffic sign'
    ]  # 14 is the stop sign, 25 road work, 38 keep right
    assert signs[25] == [
        'a photo of a "red and white triangle with person digging / construction / road work warning" traffic sign'
    ]
    assert signs[38] == ['a photo of a "blue circle with white keep right arrow mandatory" traffic sign']
    assert len({sign for (sign,) in signs}) == 43
    for dataset in ("MNIST", "svhn", "digits"):
        captions = published(dataset).captions([f"{n} - x" for n in range(10)])  # type: ignore[union-attr]
        assert captions[7] == ['a photo of the number: "7"']
    assert published("calligraphy") is None


def test_imagenet_is_called_as_clip_calls_it() -> None:
    pytest.importorskip("open_clip")
    captions = published("ImageNet-R").captions(["n01440764", "n03126707", "n02012849", "horse"])  # type: ignore[union-attr]
    assert [caption for (caption,) in captions] == [
        "a photo of a tench",
        "a photo of a construction crane",  # of the two cranes, the machine
        "a photo of a crane bird",
        "a photo of a horse",
    ]


def test_own_templates_and_names() -> None:
    ensemble = Prompts(["a {c}, {c}!", "no {place} of {c}"], names=["cat", "dog"])
    assert ensemble.captions(["0", "1"]) == [
        ["a cat, cat!", "no {place} of cat"],
        ["a dog, dog!", "no {place} of dog"],
    ]
    assert Prompts().captions([3]) == [["a photo of a 3"]]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"templates": []}, "must be a list of captions"),
        ({"templates": "a photo of a {c}"}, "must be a list of captions"),
        ({"templates": ["a photo of a {}"]}, "'a photo of a {}' without {c}"),
        ({"templates": [1]}, "1 without {c}"),
        ({"names": ["cat"]}, "too few names: 1 name for 2 classes"),
        ({"names": ["cat", "dog", "cow"]}, "more names than classes: 3 names for 2 classes"),
        ({"names": "cats"}, "must be a list of names"),
        ({"names": ["cat", " "]}, "' ' for the class 'b'"),
        ({"names": {"a": "cat", "b": None}}, "None for the class 'b'"),
        ({"names": {"a": "cat"}}, "no name for b"),
        ({"names": {"a": "cat", "b": "dog", "B1": "cow"}}, "B1, which the data set does not have"),
    ],
)
def test_refused_in_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^(templates|class_names)[ =]") as error:
        Prompts(**settings).captions(["a", "b"])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
