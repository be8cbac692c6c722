"""Nineteen corruptions at five severities: each draw belongs to its image; two that have a closed form."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from unseen.image_sets.corruptions import NINETEEN, SEVERITIES, STANDARD, corrupt

DRAWN = {
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "snow",
    "frost",
    "fog",
} | {*("elastic_transform", "speckle_noise", "spatter")}


def pictures(size: int, count: int = 1) -> Tensor:
    """Smooth colours with a few edges."""
    small = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(small, size=(size, size), mode="bilinear")
    smooth[..., size // 4 : size // 2, size // 4 : size // 2] += 0.2
    return (smooth.clamp(0, 1) * 255).to(torch.uint8)


def test_names() -> None:
    assert len(STANDARD) == 15
    assert len(set(NINETEEN)) == 19
    assert NINETEEN[:15] == STANDARD


@pytest.mark.parametrize("name", NINETEEN)
def test_a_draw_belongs_to_image_corruption_severity_and_seed(name: str) -> None:
    images = pictures(64).repeat(2, 1, 1, 1)
    state = np.random.get_state()  # noqa: NPY002
    for severity in SEVERITIES:
        found = corrupt(images, name, severity, [0, 7], seed=0)
        assert (found.shape, found.dtype) == (images.shape, torch.uint8)
        assert not torch.equal(found, images)
        assert torch.equal(corrupt(images[:1], name, severity, torch.tensor([7]), seed=0)[0], found[1])
    again = corrupt(images[:1], name, 5, [0], seed=1)
    assert torch.equal(found[0], found[1]) == (name not in DRAWN)
    assert torch.equal(again[0], found[0]) == (name not in DRAWN)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(state, after, strict=True))


@pytest.mark.parametrize("name", NINETEEN)
def test_images_of_the_usual_size(name: str) -> None:
    images = pictures(224)
    changes = [
        (corrupt(images, name, severity, [0]).float() - images.float()).abs().mean() for severity in (2, 5)
    ]
    assert 0 < changes[0] < changes[1] or name in {"elastic_transform", "frost", "saturate"}


def test_contrast_and_jpeg_are_what_they_are_called() -> None:
    images = pictures(64)
    image = images[0].permute(1, 2, 0).numpy()
    mean = (image / 255).mean(axis=(0, 1))
    expected = ((image / 255 - mean) * 0.2 + mean) * 255
    contrast = corrupt(images, "contrast", 3, [0])[0].permute(1, 2, 0).numpy()
    assert np.abs(contrast - np.floor(expected)).max() <= 1
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, "JPEG", quality=15)
    jpeg = corrupt(images, "jpeg_compression", 3, [0])[0].permute(1, 2, 0).numpy()
    assert np.array_equal(jpeg, np.asarray(Image.open(stored)))


def test_share_and_spread_of_noise() -> None:
    grey = torch.full((1, 3, 224, 224), 127, dtype=torch.uint8)  # 150,528 values
    impulses = corrupt(grey, "impulse_noise", 4, [3])
    share = float(((impulses == 0) | (impulses == 255)).float().mean())
    assert share == pytest.approx(0.17, abs=5 * (0.17 * 0.83 / 150_528) ** 0.5)
    noise = corrupt(grey, "gaussian_noise", 1, [3]).double() / 255
    # SD .08 is cut at 0 and 1 where it is 6 SD away; the spread of an SD is .08 / sqrt(2 n)
    assert float(noise.std()) == pytest.approx(0.08, abs=5 * 0.08 / (2 * 150_528) ** 0.5 + 1e-4)
    assert float(noise.mean()) == pytest.approx(127 / 255 - 0.5 / 255, abs=5 * 0.08 / 150_528**0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (pictures(64), "fogg", 1, [0]),
            r"no corruption 'fogg' \(did you mean fog\?\); allowed are gaussian_noise",
        ),
        ((pictures(64), "fog", 6, [0]), "1 to 5, not 6"),
        ((pictures(64), "fog", 1, [0, 1]), "1 images need a number each, not 2"),
        ((pictures(64), "fog", 1, [0], -1), "negative: -1"),
        ((pictures(16), "fog", 1, [0]), "16 x 16 pixels cannot be corrupted"),
        ((pictures(64).float(), "fog", 1, [0]), "not .* of torch.float32"),
        ((pictures(64).movedim(1, 3), "fog", 1, [0]), r"not \(1, 64, 64, 3\)"),
    ],
)
def test_what_cannot_be_corrupted_is_named(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corrupt(*arguments)


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "corrupt_tta", None)
    with pytest.raises(ValueError, match=r"pip install 'unseen\[corruptions\]'"):
        corrupt(pictures(64), "fog", 1, [0])
