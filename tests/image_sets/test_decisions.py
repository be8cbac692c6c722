"""From outputs to scores: by hand, and against the published index tables."""

from __future__ import annotations

import json
import math

import pytest
import torch

from unseen.image_sets.decisions import (
    AllClasses,
    GroupedClasses,
    SomeClasses,
    checked_map,
    imagenet_subset,
    sixteen,
)
from unseen.image_sets.tables import entry_classes, kept_classes, wordnet_ids


def test_the_mean_probability_of_a_group_decides_not_the_sum() -> None:
    # probabilities .30 .26 .24 .20: the sum favours the group of two (.50), the mean the group of one
    outputs = torch.tensor([[0.30, 0.26, 0.24, 0.20]]).log() + 3.0  # a constant changes no softmax
    decision = GroupedClasses(("single", "pair"), ((0,), (1, 2)))
    scores = decision(outputs)
    torch.testing.assert_close(scores.exp(), torch.tensor([[0.30, 0.25]]))
    assert scores.argmax(1).tolist() == [0]


def test_scores_of_groups_stay_finite_and_carry_gradients_where_probabilities_vanish() -> None:
    outputs = torch.tensor([[0.0, -200.0, -300.0]], requires_grad=True)
    scores = GroupedClasses(("a", "b"), ((0,), (1, 2)))(outputs)
    assert scores[0, 1].item() == pytest.approx(-200 - math.log(2))
    scores[0, 1].backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 1].item() == pytest.approx(1.0)


def test_sixteen_classes_are_the_published_groups() -> None:
    decision = sixteen()
    sizes = dict(zip(decision.names, map(len, decision.groups), strict=True))
    numbers = [1, 4, 2, 49, 5, 7, 3, 6, 4, 3, 109, 2, 2, 1, 1, 8]  # airplane to truck, as published
    assert list(sizes.values()) == numbers
    assert decision.names[0] == "airplane"
    outputs = torch.zeros(2, 1000)
    outputs[0, 285], outputs[1, 499] = 20.0, 20.0  # Egyptian cat; cleaver
    assert [decision.names[i] for i in decision(outputs).argmax(1)] == ["cat", "knife"]


@pytest.mark.parametrize("letter", ["a", "r"])
def test_the_200_classes_are_those_of_timm(letter: str) -> None:
    from importlib.resources import files

    text = files("timm.data").joinpath("_info", f"imagenet_{letter}_indices.txt").read_text()
    kept = kept_classes(f"imagenet_{letter}")
    assert list(kept) == [int(word) for word in text.split()]
    synsets = files("timm.data").joinpath("_info", f"imagenet_{letter}_synsets.txt").read_text().split()
    assert [wordnet_ids()[index] for index in kept] == synsets


def test_classes_outside_the_200_are_no_answers() -> None:
    decision = imagenet_subset("imagenet_a")  # begins with 6, 11, 13
    outputs = torch.zeros(1, 1000)
    outputs[0, 0], outputs[0, 11] = 9.0, 1.0  # 0 is the strongest, and none of the 200
    scores = decision(outputs)
    assert scores.shape == (1, 200)
    assert scores.argmax(1).tolist() == [1]


@pytest.mark.parametrize("decision", [AllClasses(), SomeClasses((1, 2)), sixteen()])
def test_a_head_of_999_is_refused(decision) -> None:
    with pytest.raises(ValueError, match=r"the network has 999 outputs.*1,000"):
        decision.check(999)
    with pytest.raises(ValueError, match="999 outputs"):
        decision(torch.zeros(1, 999))
    decision.check(1000)


def test_a_map_of_ones_own(tmp_path) -> None:
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"owl": [2], "cat": [0, 1]}))
    decision = sixteen(str(file))
    assert decision.names == ("cat", "owl")  # sorted, as folders are
    assert decision(torch.tensor([[1.0, 1.0, 3.0]])).argmax(1).tolist() == [1]
    decision.check(3)
    with pytest.raises(ValueError, match="output 2 to owl, and the network has 2 outputs, 0 to 1"):
        decision.check(2)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"cat": [0], "dog": []}, "gives dog an empty list"),
        ({"cat": [0], "dog": [-1]}, "gives dog -1"),
        ({"cat": [0], "dog": [True]}, "gives dog True"),
        ({"cat": [0], "dog": 1}, "gives dog no list"),
        ({"cat": [0], "dog": [0]}, r"output 0 twice \(cat and dog\)"),
        ({"cat": [0]}, "at least 2 classes"),
        ([1, 2], "must be a map"),
    ],
)
def test_maps_that_are_none(found, says) -> None:
    with pytest.raises(ValueError, match=says):
        checked_map(found, "map.json")


def test_a_map_that_is_not_there(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"class_map=.*no\.json cannot be read"):
        sixteen(str(tmp_path / "no.json"))


def test_every_entry_class_has_its_own_outputs() -> None:
    checked_map({name: list(group) for name, group in entry_classes().items()}, "tables.json")
