"""Shifts of unseen images: by hand, against scipy and ImageNet-C, and that no other image changes."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from tests.data.conftest import datamodule

from unseen.data.shift import SHIFTS, shifted
from unseen.data.sources.digits import Digits
from unseen.data.transforms import flat_pixels

IMAGES = torch.rand(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))


def test_by_hand():
    half = torch.tensor([[0.0, 1.0], [1.0, 1.0]]).expand(1, 3, 2, 2).clone()
    assert torch.equal(shifted(half, "none"), half)
    assert torch.equal(shifted(half, "invert"), 1 - half)
    expected = torch.tensor(
        [[0.675, 0.775], [0.775, 0.775]]
    )  # .75 is the mean, a tenth of the distance stays
    torch.testing.assert_close(shifted(half, "contrast")[0, 1], expected)


def test_blur_is_a_gaussian_of_4_pixels_at_224():
    # of one pixel at 56; torchvision's kernel ends after three standard deviations, and both mirror the edge
    expected = ndimage.gaussian_filter(IMAGES.numpy(), (0, 0, 1, 1), mode="mirror", radius=(0, 0, 3, 3))
    np.testing.assert_allclose(shifted(IMAGES, "blur").numpy(), expected, atol=1e-5)
    flat = torch.full((1, 3, 8, 8), 0.25)
    torch.testing.assert_close(shifted(flat, "blur"), flat)


def test_contrast_is_that_of_imagenet_c():
    corruptions = pytest.importorskip("unseen.image_sets.corruptions")
    pytest.importorskip("corrupt_tta")
    images = (IMAGES * 255).round().to(torch.uint8)
    theirs = corruptions.corrupt(images, "contrast", 4, [0, 1])
    ours = shifted(images.float() / 255, "contrast") * 255
    assert (ours - theirs).abs().max() <= 1  # they round down


@pytest.mark.parametrize("shift", SHIFTS)
def test_unseen_images_change_and_no_other(shift):
    made = {
        key: datamodule(Digits(), image_size=16, train_size=36, test_size=14, unseen_per_class=4, shift=key)
        for key in ("none", shift)
    }
    for data in made.values():
        data.setup()

    def images(key, loader, **settings):
        batches = getattr(made[key], f"{loader}_dataloader")(**settings)
        return torch.cat([made[key].on_after_batch_transfer(batch, 0).images for batch in batches])

    for loader in ("train", "val"):
        assert torch.equal(images(shift, loader), images("none", loader))
    assert torch.equal(made[shift].raw_pixels("seen")[0], made["none"].raw_pixels("seen")[0])
    plain = images("none", "unseen") / 2 + 0.5  # without the normalisation
    changed = images(shift, "unseen") / 2 + 0.5
    torch.testing.assert_close(changed, shifted(plain, shift))
    assert torch.equal(changed, plain) == (shift == "none")
    torch.testing.assert_close(made[shift].raw_pixels("unseen")[0], flat_pixels(shifted(plain, shift)))
    # noise comes after the shift: of it alone nothing of the shift is left
    noise = {"noise_level": 1.0, "noise_seed": 3}
    assert torch.equal(images(shift, "unseen", **noise), images("none", "unseen", **noise))
    half = images(shift, "unseen", noise_level=0.5, noise_seed=3)
    torch.testing.assert_close(half, (images(shift, "unseen") + images("none", "unseen", **noise)) / 2)
    assert (f"(shift: {shift})" in made[shift].description()) == (shift != "none")


def test_a_shift_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="shift=blurr is none of none, blur, invert, contrast"):
        datamodule(Digits(), image_size=16, shift="blurr")
