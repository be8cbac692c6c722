"""A data set as a task of all its classes."""

import pytest
import torch

from unseen.data.selection import SelectionRule
from unseen.data.sources.digits import Digits
from unseen.data.tasks import AllSeen, load_task


def digits(limit: int | None = None, **sizes: int):
    rule = SelectionRule(**sizes)
    return load_task("digits", Digits(), 32, mean=(0.5,) * 3, std=(0.25,) * 3, rule=rule, limit=limit)


def test_every_class_is_trained_and_tested_on() -> None:
    task = digits(train_size=100, test_size=50)
    assert task.classes == tuple("0123456789")
    assert (
        sorted(set(task.train.labels.tolist())) == sorted(set(task.test.labels.tolist())) == list(range(10))
    )
    assert (len(task.train), len(task.test)) == (100, 50)
    assert not set(task.train.references) & set(task.test.references)


def test_a_limit_takes_away_and_adds_nothing() -> None:
    task = digits(limit=60, test_size=20)
    assert (len(task.train), len(task.test)) == (60, 20)
    assert torch.bincount(task.train.labels).min() >= 5  # class by class
    assert len(digits(limit=10_000).test) == 359  # all


def test_images_are_normalised_and_in_order() -> None:
    task = digits(train_size=20, test_size=20)
    cpu = torch.device("cpu")
    batches = list(task.batches(task.test, 8, cpu))
    assert [len(images) for images, _ in batches] == [8, 8, 4]
    images = torch.cat([images for images, _ in batches])
    raw = task.test.take(torch.arange(20)).float() / 255
    torch.testing.assert_close(images, (raw - 0.5) / 0.25)
    labels = torch.cat([labels for _, labels in batches])
    assert labels.tolist() == task.test.labels.tolist()


def test_one_class_is_no_task() -> None:
    with pytest.raises(ValueError, match="a task needs 2 classes at least; there are cat"):
        AllSeen.of(["cat"])


def test_more_images_than_there_are() -> None:
    with pytest.raises(ValueError, match="train_size=100000 is more than"):
        digits(train_size=100_000)
