"""Canvases on a device that is not the CPU become images on the same device."""

from types import SimpleNamespace

import pytest
import torch
from tests.data.conftest import datamodule
from tests.fake_cuda import fake_device

from unseen.data.canvases import CanvasStore, Frame, Names
from unseen.data.sources.digits import Digits
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


@pytest.mark.parametrize(("room", "device"), [(8, "cuda"), (7.9, "cpu")])  # for how many times the canvases
def test_canvases_are_where_the_network_is_if_they_fit(
    room: float, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvases_bytes = 40 * 3 * 16 * 16
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(room * canvases_bytes), 80 * 2**30))
    data = datamodule(Digits(), image_size=16, eval_batch_size=16)
    strategy = SimpleNamespace(root_device=torch.device("cuda"))
    data.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)  # type: ignore[assignment]
    with fake_device():
        labels, canvases = torch.zeros(40, dtype=torch.long), torch.zeros(40, 3, 16, 16, dtype=torch.uint8)
        names = Names(map(str, range(40)))
        data._stores = {"seen": CanvasStore(labels, names, canvases, Digits().read, Frame(16, 0, 0))}
        loader = data.val_dataloader()
        assert loader.pin_memory == (device == "cpu")  # what is on the device cannot be pinned
        share = next(iter(loader.sampler))
        batch = loader.dataset[share]
        assert (batch.images.device.type, batch.images.shape) == (device, (len(share.indices), 3, 16, 16))
        assert data.val_dataloader().dataset._store is loader.dataset._store  # moved once
