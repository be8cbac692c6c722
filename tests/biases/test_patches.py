"""Patches: cut and put back by hand, and where they do not fit."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from unseen.biases.measure import Batch, Measure
from unseen.biases.patches import PatchShuffleSensitivity, shuffle_patches


def by_hand(image: Tensor, order: np.ndarray, patches: int) -> Tensor:
    """Patch by patch: place k, counted along rows, gets patch order[k]."""
    height, width = image.shape[-2:]
    h, w = height // patches, width // patches
    top, left = (height % patches) // 2, (width % patches) // 2
    result = image.clone()
    for place, source in enumerate(order):
        row, column = divmod(place, patches)
        from_row, from_column = divmod(int(source), patches)
        result[:, top + row * h : top + (row + 1) * h, left + column * w : left + (column + 1) * w] = image[
            :,
            top + from_row * h : top + (from_row + 1) * h,
            left + from_column * w : left + (from_column + 1) * w,
        ]
    return result


@pytest.mark.parametrize(
    ("height", "width", "patches"), [(8, 8, 4), (8, 12, 2), (10, 9, 4), (3, 3, 3), (224, 224, 7)]
)
def test_whole_patches_change_places(height: int, width: int, patches: int) -> None:
    images = torch.arange(2 * 3 * height * width, dtype=torch.float32).view(2, 3, height, width)
    found = shuffle_patches(images, torch.tensor([5, 3]), patches=patches, seed=1)
    for image, index, given in zip(images, (5, 3), found, strict=True):
        order = np.random.default_rng((1, index)).permutation(patches * patches)
        assert torch.equal(given, by_hand(image, order, patches))
        assert torch.equal(given.flatten().sort().values, image.flatten())  # no pixel is lost


def test_what_is_left_over_stays_at_the_ends() -> None:
    image = torch.arange(7 * 6, dtype=torch.float32).view(1, 1, 7, 6).repeat(1, 3, 1, 1)
    found = shuffle_patches(image, torch.tensor([0]), patches=4, seed=0)  # 4 x 4 patches of one pixel
    kept = torch.ones(7, 6, dtype=torch.bool)
    kept[1:5, 1:5] = False
    assert torch.equal(found[0, :, kept], image[0, :, kept])
    assert not torch.equal(found, image)


def test_a_draw_belongs_to_the_image_and_the_seed() -> None:
    image = torch.arange(64, dtype=torch.float32).view(1, 1, 8, 8).repeat(3, 3, 1, 1)
    state = torch.get_rng_state()
    found = shuffle_patches(image, torch.tensor([0, 1, 2]), patches=4, seed=0)
    assert not torch.equal(found[0], found[1])
    assert torch.equal(shuffle_patches(image[:2], torch.tensor([2, 0]), patches=4, seed=0), found[[2, 0]])
    assert not torch.equal(shuffle_patches(image, torch.tensor([0, 1, 2]), patches=4, seed=1), found)
    assert torch.equal(torch.get_rng_state(), state)
    # each of 16 patches goes everywhere as often: 1600 draws, 100 +- 9.7 at each place
    places = np.array([np.random.default_rng((0, index)).permutation(16) for index in range(1600)])
    assert all((abs(np.bincount(column, minlength=16) - 100) < 5 * 9.7).all() for column in places.T)


def test_images_with_fewer_pixels_than_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="3 x 8 pixels cannot be cut into 4 x 4"):
        shuffle_patches(torch.zeros(1, 3, 3, 8), torch.tensor([0]), patches=4, seed=0)


@pytest.mark.parametrize(("settings", "message"), [({"patches": 1}, "patches=1"), ({"seed": -1}, "-1")])
def test_settings_that_shuffle_nothing_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PatchShuffleSensitivity(**settings)


def test_share_of_the_accuracy_that_the_order_gives() -> None:
    """A mean does not see the order; a pixel at its place does."""
    measure = PatchShuffleSensitivity(patches=2)
    assert isinstance(measure, Measure)
    images = torch.zeros(40, 3, 4, 4)
    images[:, :, :2, :2] = 1  # one light patch, at the top left
    batch = Batch(images, torch.ones(40, 1, dtype=torch.long), torch.arange(40))

    def of_mean(images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3))
        return torch.stack([torch.full_like(mean, 0.1), mean], dim=1)

    def of_corner(images: Tensor) -> Tensor:
        return torch.stack([torch.full((len(images),), 0.1), images[:, 0, 0, 0]], dim=1)

    assert (measure.observe(of_mean, batch) == 1).all()
    clean, shuffled = measure.observe(of_corner, batch).T
    at_place = [np.random.default_rng((0, index)).permutation(4)[0] == 0 for index in range(40)]
    assert clean.tolist() == [1] * 40
    assert shuffled.tolist() == at_place
    means = np.array([[1, 0.25], [0.5, 0.5], [0, 0.1]])
    values = measure.values(means)["patch_shuffle_sensitivity"]
    assert values == pytest.approx([0.75, 0, math.nan], nan_ok=True)
