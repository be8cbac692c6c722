"""Training images that lack something: what is gone, what stays, and by which draw."""

import pytest
import torch
from hydra.utils import instantiate
from tests.test_configs import resolved

from unseen.biases.training_images import HighPass, PatchShuffle
from unseen.data.augment import augmented

SIZE = 16


def wave(frequency: int) -> torch.Tensor:
    """A picture (3, S, S) uint8 of vertical stripes, so many in its width, around grey."""
    places = torch.arange(SIZE) / SIZE
    row = 128 + 100 * torch.cos(2 * torch.pi * frequency * places)
    return row.round().to(torch.uint8).expand(3, SIZE, SIZE).clone()


def test_high_pass_takes_the_mean_and_wide_stripes_and_leaves_narrow_ones() -> None:
    half = HighPass(0.5)  # of 16 pixels, the frequencies -4 .. 3 are removed
    assert int(half(wave(2)).max()) <= 1  # rounding of the picture itself
    narrow = half(wave(6))
    expected = (wave(6).float() - 128).clamp(0, 255)  # without its mean; what is below 0 is clipped
    assert narrow.dtype == torch.uint8
    assert (narrow.float() - expected).abs().max() <= 1
    with pytest.raises(ValueError, match=r"cutoff=1 must be between 0 and 1"):
        HighPass(1)


def test_patch_shuffle_moves_whole_patches_by_the_global_generator() -> None:
    image = torch.arange(4, dtype=torch.uint8).view(2, 2).repeat_interleave(8, 0).repeat_interleave(8, 1)
    image = image.expand(3, SIZE, SIZE)  # four patches, each of one value
    shuffle = PatchShuffle(2)
    orders = set()
    for seed in range(40):
        torch.manual_seed(seed)
        made = shuffle(image)
        patches = made.unfold(1, 8, 8).unfold(2, 8, 8).flatten(1, 2).flatten(2)  # (3, 4, 64)
        assert (patches == patches[:, :, :1]).all()  # no patch is cut
        assert (patches == patches[:1]).all()  # the channels move together
        order = tuple(patches[0, :, 0].tolist())
        assert sorted(order) == [0, 1, 2, 3]
        orders.add(order)
    assert len(orders) > 12  # of 24; 40 draws give 19.6 on average
    with pytest.raises(ValueError, match=r"patches=1 must be at least 2"):
        PatchShuffle(1)


@pytest.mark.parametrize("name", ["gaussian_noise", "blur", "high_pass", "grayscale", "patch_shuffle"])
def test_half_of_the_training_images_are_changed(name: str) -> None:
    """Each file, made as the program makes it."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    augment = instantiate(resolved(f"augment={name}")["data"]["augment"], _convert_="all")
    images = image.expand(100, 3, SIZE, SIZE).contiguous()
    made = augmented(images, augment, seed=0, epoch=0, indices=range(100))
    changed = made[(made != images).flatten(1).any(1)].float()
    assert 35 <= len(changed) <= 65  # 100 draws of 1/2: 50 with a deviation of 5
    difference = changed - image.float()
    if name == "gaussian_noise":  # 0.1 of 255; clipping at both ends takes some
        assert 18 < float(difference.std()) < 25.5
    elif name == "blur":  # neighbours become alike
        assert float(changed.diff(dim=3).std()) < 0.5 * float(image.float().diff(dim=2).std())
    elif name == "high_pass":
        assert float(changed.mean()) < 0.5 * float(image.float().mean())
    elif name == "grayscale":
        assert torch.equal(changed[:, 0], changed[:, 1])
        assert torch.equal(changed[:, 0], changed[:, 2])
    else:
        assert (changed.flatten(2).sort().values == image.flatten(1).sort().values).all()  # the same pixels
