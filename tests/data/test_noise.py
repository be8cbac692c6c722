"""Noise that destroys images."""

import numpy as np
import pytest
import torch

from unseen.data.transforms import Noise, NoiseSource, to_images

PLAIN = {"size": 2, "mean": (0.0,) * 3, "std": (1.0,) * 3}


def test_a_mixture_by_hand() -> None:
    """A black and a white image with noise of 51/255 = 0.2: black gets a quarter of it, white 0.75 + 0.25 x 0.2."""
    canvases = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 2, 2)
    noise = Noise(torch.full((2, 2, 2, 3), 51, dtype=torch.uint8), 0.25)
    mixed = to_images(canvases, None, **PLAIN, noise=noise)
    assert mixed[0].unique().tolist() == pytest.approx([0.05])
    assert mixed[1].unique().tolist() == pytest.approx([0.8])
    normalised = to_images(canvases, None, size=2, mean=(0.5,) * 3, std=(0.1,) * 3, noise=noise)
    assert torch.allclose(normalised, (mixed - 0.5) / 0.1)  # mixed before the normalisation


def test_at_level_one_nothing_of_the_image_is_left() -> None:
    noise = NoiseSource(1.0, seed=0, size=2).draw(torch.arange(2))
    first, second = (
        to_images(torch.full((2, 3, 2, 2), value, dtype=torch.uint8), None, **PLAIN, noise=noise)
        for value in (0, 200)
    )
    assert torch.equal(first, second)
    assert torch.equal(first, noise.pixels.permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize("seed", [0, 42])
def test_each_image_has_its_own_noise_whatever_the_batch(seed: int) -> None:
    source = NoiseSource(0.5, seed=seed, size=4)
    together, alone = source.draw(torch.tensor([3, 8, 5])), source.draw(torch.tensor([8]))
    assert torch.equal(together.pixels[1], alone.pixels[0])
    assert not torch.equal(together.pixels[0], together.pixels[1])
    assert torch.equal(alone.pixels, NoiseSource(1.0, seed=seed, size=4).draw(torch.tensor([8])).pixels)
    assert not torch.equal(
        alone.pixels, NoiseSource(0.5, seed=seed + 1, size=4).draw(torch.tensor([8])).pixels
    )


def test_noise_is_uniform_and_leaves_the_global_generators_alone() -> None:
    state = torch.get_rng_state()
    pixels = NoiseSource(0.5, seed=0, size=64).draw(torch.arange(16)).pixels.numpy()
    counts = np.bincount(pixels.ravel(), minlength=256)  # 196,608 draws: 768 of each value, sd 28
    assert counts.min() > 768 - 6 * 28
    assert counts.max() < 768 + 6 * 28
    assert torch.equal(torch.get_rng_state(), state)
