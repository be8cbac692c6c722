"""Canvases on a device that is not the CPU become images on the same device."""

import pytest
import torch
from tests.fake_cuda import fake_device

from unseen.data.transforms import Noise, raw_pixels, to_images

HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("count", [1, 72])
def test_to_images_stays_on_cuda(rotated: bool, noisy: bool, count: int) -> None:
    with fake_device():
        canvases = torch.zeros(count, 3, 264, 264, dtype=torch.uint8, device="cuda")
        angles = torch.rand(count, device="cuda") if rotated else None
        pixels = torch.zeros(count, 224, 224, 3, dtype=torch.uint8, device="cuda")
        images = to_images(
            canvases, angles, size=224, mean=HALF, std=HALF, noise=Noise(pixels, 0.5) if noisy else None
        )
        assert (images.device.type, images.dtype) == ("cuda", torch.float32)
        assert images.shape == (count, 3, 224, 224)


@pytest.mark.parametrize("size", [16, 224])  # below and above the side that is kept
def test_raw_pixels_of_canvases_on_cuda(size: int) -> None:
    with fake_device():
        canvases = torch.zeros(70, 3, size + 40, size + 40, dtype=torch.uint8, device="cuda")
        flat = raw_pixels(canvases, size=size)
        assert (flat.dtype, flat.shape) == (torch.float32, (70, 3 * min(size, 32) ** 2))


@pytest.mark.parametrize("left", ["angles", "noise"])
def test_what_was_left_on_the_cpu_is_found(left: str) -> None:
    with fake_device():
        canvases = torch.zeros(2, 3, 264, 264, dtype=torch.uint8, device="cuda")
        angles = torch.rand(2, device="cpu" if left == "angles" else "cuda")
        pixels = torch.zeros(2, 224, 224, 3, dtype=torch.uint8, device="cpu" if left == "noise" else "cuda")
        with pytest.raises(RuntimeError, match="device"):
            to_images(canvases, angles, size=224, mean=HALF, std=HALF, noise=Noise(pixels, 0.5))
