"""Noise of single frequency bands, 28 conditions of an image: band_noise (pyrtools and a loop), band_noise_memory.

The other side is written as the critical-band test's public code is: image by image, pyrtools for the pyramid, and a
Python loop over the pixels that brings each into [0, 1]. It is timed on a few images and scaled to all.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import CannotMeasure, Row, Settings, in_turns, seconds

DEVIATIONS = (0.02, 0.04, 0.08, 0.16)
BANDS, SIZE = 7, 224
BATCH = 50
Image = npt.NDArray[np.float64]


def band_noise(settings: Settings) -> list[Row]:
    """Return the row of the speed."""
    if find_spec("pyrtools") is None:
        raise CannotMeasure("pyrtools is not installed; pip install -c constraints.txt -e '.[test]'")
    with one_thread():
        return _rows(settings)


@contextmanager
def one_thread() -> Iterator[None]:
    """Give torch one thread, which is what the other side has."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _rows(settings: Settings) -> list[Row]:
    count, part = settings.pick((1000, 10), (200, 4), (4, 1))
    images = made_up_images(settings.seed)
    ours(images, BATCH)  # libraries are loaded
    reference(images[:1])
    sides = {
        "ours": lambda: seconds(lambda: ours(images, count)),
        "reference": lambda: seconds(lambda: reference(images[:part])) * count / part,
    }
    took = in_turns("band_noise", settings.rounds, sides)
    what = (
        f"{count:,} images of {SIZE} px under {BANDS * len(DEVIATIONS)} conditions against pyrtools and a loop over pixels, "
        f"which is timed on {part} and scaled; one thread"
    )
    check = f"with the same white noise, pixels differ by {difference(images):.0e} at most"
    return [Row("band_noise", what, *took.values(), target=settings.target(20.0), check=check)]


def made_up_images(seed: int) -> Any:
    """Return as many images as a batch holds, (50, 3, 224, 224) in [0, 1]: squares of random colours."""
    import torch

    colours = torch.rand(BATCH, 3, 7, 7, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(colours, size=(SIZE, SIZE))


def conditions() -> Iterator[tuple[int, float]]:
    """Yield band and deviation of each condition."""
    for deviation in DEVIATIONS:
        for band in range(BANDS):
            yield band, deviation


def ours(images: Any, count: int) -> None:
    """Make every condition of so many images, batch by batch, and let go of it."""
    import torch

    from unseen.biases.band_noise import low_contrast, with_noise

    for first in range(0, count, BATCH):
        indices = torch.arange(first, min(first + BATCH, count))
        grey = low_contrast(images[: len(indices)])
        for band, deviation in conditions():
            with_noise(grey, indices, band, deviation)


def reference(images: Any) -> None:
    """Make every condition of these images, one after the other."""
    from unseen.biases.band_noise import low_contrast

    generator = np.random.default_rng(0)
    for image in low_contrast(images)[:, 0].double().numpy():
        for band, deviation in conditions():
            one_by_one(image, generator.standard_normal(image.shape) * deviation, band)


def one_by_one(image: Image, white: Image, band: int) -> Image:
    """Return one image under the part of white noise that a band holds."""
    from pyrtools.pyramids import LaplacianPyramid

    pyramid = LaplacianPyramid(white)
    part = pyramid.recon_pyr(levels=BANDS - 1 - band)
    finest = pyramid.recon_pyr(levels=0)
    noise = part * np.sqrt(np.mean(finest**2) / np.mean(part**2))
    noisy = image.copy()
    for row in range(noisy.shape[0]):
        for column in range(noisy.shape[1]):
            if image[row, column] + noise[row, column] < 0:
                noisy[row, column] = 0.1 - noise[row, column]
            elif image[row, column] + noise[row, column] > 1:
                noisy[row, column] = 0.9 - noise[row, column]
            noisy[row, column] += noise[row, column]
    return noisy


def difference(images: Any) -> float:
    """Return the largest difference of both sides, over all conditions of an image, with our white noise."""
    import torch

    from unseen.biases import band_noise as module

    grey, number = module.low_contrast(images[:1]), torch.tensor([0])
    largest = 0.0
    for band, deviation in conditions():
        key = (0, 0, band, round(deviation * 1e6))
        white = torch.randn(grey.shape[1:], generator=module._generator(*key))[0] * deviation
        theirs = one_by_one(grey[0, 0].double().numpy(), white.double().numpy(), band)
        found = module.with_noise(grey, number, band, deviation)[0, 0].double().numpy()
        largest = max(largest, float(np.abs(theirs - found).max()))
    return largest


def band_noise_memory(settings: Settings) -> list[Row]:
    """Return by how many MiB the peak of a fresh process rises after its second batch."""
    count = settings.pick(1000, 200, 100)
    what = f"how much memory a process takes for {count:,} images beyond what it takes for {2 * BATCH}"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return [Row("band_noise_memory", what, [pool.apply(_growth, (settings.seed, count))], unit="MiB")]


def _growth(seed: int, count: int) -> float:
    images = made_up_images(seed)
    with one_thread():
        ours(images, 2 * BATCH)  # with the second batch, there is one that is let go of
        before = _peak()
        ours(images, count)
    return _peak() - before


def _peak() -> float:
    """Return the largest memory so far, in MiB; getrusage's peak of a child begins with that of its parent."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
