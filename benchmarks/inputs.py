"""Images a second from memory to network input: `input`."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.job import BATCH, MadeUpPictures
from benchmarks.reference_flow import MEAN, STD, paper_transform
from benchmarks.rows import Row, paired
from benchmarks.setting import Setting
from benchmarks.timing import alternate, seconds, spread, timed
from unseen.data.canvases import Frame, to_canvas
from unseen.data.transforms import View, to_images

SOURCE_SIDE = 64  # of the calligraphy's files
ROTATION = 10.0


class PerSample(Dataset[torch.Tensor]):
    """What torchvision's data sets do: open, transform, one image at a time."""

    def __init__(
        self, files: list[bytes] | list[Image.Image], transform: Callable[[Any], torch.Tensor]
    ) -> None:
        self._files = files
        self._transform = transform

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> torch.Tensor:
        found = self._files[index]
        image = Image.open(io.BytesIO(found)).convert("RGB") if isinstance(found, bytes) else found
        return self._transform(image)


def _consume(loader: DataLoader[torch.Tensor]) -> None:
    for _ in loader:
        pass


def _fastest_loader(setting: Setting, data: PerSample) -> tuple[DataLoader[torch.Tensor], int]:
    """Return the loader with no or two worker processes, whichever is faster here; workers are warm and stay."""
    loaders = {
        0: DataLoader(data, BATCH, num_workers=0),
        2: DataLoader(data, BATCH, num_workers=2, persistent_workers=True),
    }
    if setting.size.name == "tiny":
        return loaders[0], 0
    times = {}
    for workers, loader in loaders.items():
        _consume(loader)
        times[workers] = min(seconds(partial(_consume, loader)) for _ in range(2))
    best = min(times, key=lambda workers: times[workers])
    return loaders[best], best


def inputs(setting: Setting) -> list[Row]:
    """Return the rows of our batched transform against torchvision's per-sample one."""
    side, count = setting.size.input_size, setting.size.input_images
    source = MadeUpPictures(count, 0, SOURCE_SIDE)
    pictures = [source.read(entry.reference) for entry in source.list().entries]
    files = []
    for picture in pictures:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG")
        files.append(buffer.getvalue())
    frame = View(side, ROTATION).frame
    canvases = torch.from_numpy(np.stack([to_canvas(picture, frame) for picture in pictures]))
    angles = (torch.rand(count, generator=torch.Generator().manual_seed(0)) * 2 - 1) * ROTATION

    batches = torch.split(torch.arange(count), BATCH)

    def transform_all() -> None:
        for indices in batches:
            some = canvases.index_select(0, indices)
            to_images(some, angles[indices], size=side, mean=MEAN, std=STD)

    transform = paper_transform(side, ROTATION)
    rows = []
    moved = canvases.nbytes + count * 3 * side * side * 4
    for name, held, what in (
        ("input", pictures, "decoded PIL pictures"),
        (
            "input/with_decoding",
            files,
            "JPEG files in memory, decoded each time as torchvision's data sets do",
        ),
    ):
        setting.report(f"{name}: choosing the faster loader for the reference")
        loader, workers = _fastest_loader(setting, PerSample(held, transform))
        transform_all()  # as warm as the loader, whose workers' fork left our memory to be copied at its next writing
        pairs = alternate(
            timed(transform_all), timed(partial(_consume, loader)), pairs=setting.pairs,
            on_pair=setting.show_pair(name), go_on=setting.go_on,
        )  # fmt: skip
        rates = {
            "ours": spread([count / pair.ours for pair in pairs])._asdict(),
            "reference": spread([count / pair.reference for pair in pairs])._asdict(),
        }
        rows.append(
            paired(
                name,
                f"the papers' transform at {side} px of {count} images in batches of {BATCH}: uint8 canvases against "
                f"torchvision, one image at a time, from {what}",
                pairs,
                at_least=4.0,
                floor=setting.floors.copy_seconds(moved),
                details={"images_per_second": rates, "reference_workers": workers},
                notes=[
                    f"{rates['ours']['median']:.0f} against {rates['reference']['median']:.0f} images a second; the "
                    f"reference is fastest with {workers} worker processes"
                ],
            )
        )
        del loader
    rows.append(_once(setting, files, frame))
    return rows


def _once(setting: Setting, files: list[bytes], frame: Frame) -> Row:
    """Return the row of what our canvases cost before the first batch."""

    def decode() -> None:
        for content in files:
            to_canvas(Image.open(io.BytesIO(content)).convert("RGB"), frame)

    times = [seconds(decode) for _ in range(setting.pairs)]
    return Row(
        "input/once",
        f"decoding {len(files)} JPEG files into canvases, on one thread: what our side pays once a run",
        ours=spread(times),
        notes=[f"{len(files) / spread(times).median:.0f} images a second"],
    )
