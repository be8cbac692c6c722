"""Augmentation and balanced sampling: by hand, and as pure functions of seed, epoch and index."""

import numpy as np
import pytest
import torch
from tests.data.conftest import datamodule
from torchvision.transforms import v2

from unseen.data.augment import augmented, check_augment
from unseen.data.batches import TrainSampler, balanced_order
from unseen.data.sources.digits import Digits

IMAGE = torch.arange(3 * 4 * 4, dtype=torch.uint8).view(3, 4, 4)
LABELS = np.array([0] * 8 + [1] * 2 + [2] * 3)  # 13 samples: 4, 4 and 5 of a class


def test_each_image_of_a_batch_is_drawn_for_itself() -> None:
    images = IMAGE.repeat(64, 1, 1, 1)
    made = augmented(images, v2.RandomHorizontalFlip(0.5), seed=0, epoch=0, indices=range(64))
    flipped = (made == IMAGE.flip(2)).flatten(1).all(1)
    assert torch.equal(made[~flipped], images[~flipped])
    assert 16 < int(flipped.sum()) < 48  # 64 draws of 1/2: 32 with a deviation of 4


def test_it_is_a_function_of_seed_epoch_and_index_alone() -> None:
    noise = v2.Lambda(lambda image: torch.randint(0, 256, image.shape, dtype=torch.uint8))
    images = IMAGE.repeat(3, 1, 1, 1)
    before = torch.get_rng_state()
    made = augmented(images, noise, seed=1, epoch=2, indices=[5, 6, 7])
    assert torch.equal(torch.get_rng_state(), before)
    alone = augmented(images[:1], noise, seed=1, epoch=2, indices=[7])
    assert torch.equal(alone[0], made[2])
    for other in ({"seed": 0, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert not torch.equal(augmented(images[:1], noise, **other, indices=[7])[0], made[2])


def test_only_training_images_are_augmented() -> None:
    data = datamodule(
        Digits(), image_size=8, train_size=36, test_size=14, augment=v2.Lambda(torch.zeros_like)
    )
    data.setup()

    def values(loader) -> int:
        batch = data.on_after_batch_transfer(next(iter(loader)), 0)
        return sum(len(batch.images[:, channel].unique()) for channel in range(3))

    assert values(data.train_dataloader()) == 3  # black, normalised
    assert values(data.val_dataloader()) > 3
    assert values(data.unseen_dataloader()) > 3


def test_two_views_are_augmented_apart() -> None:
    noise = v2.Lambda(lambda image: torch.randint(0, 256, image.shape, dtype=torch.uint8))
    of_views = {}
    for views in (1, 2):
        data = datamodule(Digits(), image_size=8, train_size=36, test_size=14, augment=noise, views=views)
        data.setup()
        of_views[views] = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
        evaluated = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
        assert len(evaluated.images) == len(evaluated.labels) == 2  # of 14, an eighth
    one, two = of_views[1], of_views[2]
    assert two.images.shape == (72, 3, 8, 8)
    assert torch.equal(two.images[:36], one.images)
    assert not (two.images[36:] == two.images[:36]).flatten(1).all(1).any()
    assert torch.equal(two.labels, one.labels.repeat(2))
    assert torch.equal(two.indices, one.indices.repeat(2))


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (
            v2.ToDtype(torch.float32, scale=True),
            r"data\.augment made a torch\.float32 image of shape \(3, 4, 4\)",
        ),
        (
            v2.RandomCrop(3),
            r"image of shape \(3, 3, 3\); it must return what it gets, torch\.uint8 and \(3, 4, 4\)",
        ),
        (lambda image, more: image, r"data\.augment cannot be applied to an image: .*missing 1 required"),
    ],
)
def test_what_does_not_return_such_an_image_is_refused(transform, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_augment(transform, 4)


# ------------------------------------------------------------------ balanced
def test_classes_come_equally_often() -> None:
    extra = set()
    for epoch in range(6):
        order = balanced_order(LABELS, 0, epoch)
        counts = np.bincount(LABELS[order])
        assert sorted(counts) == [4, 4, 5]
        extra.add(int(counts.argmax()))
        # none comes again before all of its class have come
        for label in range(3):
            times = np.bincount(order[LABELS[order] == label], minlength=13)[label == LABELS]
            assert times.max() - times.min() <= 1
    assert len(extra) > 1
    assert not np.array_equal(balanced_order(LABELS, 0, 0), balanced_order(LABELS, 0, 1))
    assert np.array_equal(balanced_order(LABELS, 0, 1), balanced_order(LABELS, 0, 1))


def test_ranks_share_one_balanced_order() -> None:
    def samples(rank: int, world_size: int) -> list[int]:
        sampler = TrainSampler(13, 2, seed=3, rank=rank, world_size=world_size, balanced=LABELS)
        return [index for share in sampler for index in share.indices.tolist()]

    whole = balanced_order(LABELS, 3, 0).tolist()
    assert samples(0, 1) == whole
    assert samples(0, 2) == whole[0::2]
    assert samples(1, 2) == [*whole[1::2], whole[0]]  # filled up to as many as rank 0 has
