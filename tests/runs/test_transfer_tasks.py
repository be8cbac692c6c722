"""Which settings of a data set transfer.py reads, and what its classes are called."""

from __future__ import annotations

from typing import Any

import pytest

from unseen.runs.transfer.parts import check_tasks, prompts_of


def settings(**more: Any) -> dict[str, Any]:
    """The settings of digits."""
    sizes = {"train_size": None, "test_size": None, "test_fraction": 0.2, "stratified": True, "split_seed": 0}
    captions = {"templates": None, "class_names": None}
    source = {"_target_": "unseen.data.sources.digits.Digits"}
    return {"name": "digits", "source": source, **sizes, **captions, **more}


def check(*, limit: int | None = None, task: dict[str, Any] | None = None, **others: dict[str, Any]) -> None:
    data = task or settings()
    check_tasks({"data": data, "templates": None, "class_names": None, "limit": limit}, others)


def test_captions_are_the_typed_ones_then_the_files_then_the_published() -> None:
    typed = {"templates": ["a {c}", "one {c}"], "class_names": {7: "seven"}}
    assert prompts_of("anything", typed).captions(["7"]) == [["a seven", "one seven"]]
    assert prompts_of("stl10", typed | {"class_names": None}).captions(["cat"]) == [["a cat", "one cat"]]
    digits = [str(number) for number in range(10)]
    assert prompts_of("digits", settings()).captions(digits)[3] == ['a photo of the number: "3"']


def test_each_task_is_checked_with_its_own_captions() -> None:
    check(more=settings(class_names=list("abcdefghij")))
    with pytest.raises(ValueError, match=r"^others\.more: class_names has more names than classes: 11 names"):
        check(more=settings(class_names=list("abcdefghijk")))
    with pytest.raises(ValueError, match=r"^train_size=5 is less than"):
        check(task=settings(train_size=5))


def test_a_limit_leaves_every_class_an_image() -> None:
    check(limit=10, more=settings(train_size=500))
    with pytest.raises(ValueError, match=r"^limit=9 is less than one image for each of the 10 classes"):
        check(limit=9)
