"""The corruptions of ImageNet-C (Hendrycks and Dietterich, arXiv 1903.12261), made of clean images.

Fourteen are corrupt-tta's, five are in `imagenet_c`. They are not the stored images of ImageNet-C: the noise is
another, these are not saved as JPEG again, and the lengths of `elastic_transform` are 8 % shorter; accuracies on both
need not agree. corrupt-tta brings opencv-python, which needs libGL; where that is absent, opencv-python-headless can
take its place.

Strengths are in pixels of 224 x 224 images. On smaller ones a blur or a warp is stronger for its size.
Legend: B batch, H and W image height and width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unseen.image_sets.imagenet_c import MADE
from unseen.wording import listing, suggestion

STANDARD = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
NINETEEN = (*STANDARD, "speckle_noise", "gaussian_blur", "spatter", "saturate")
SEVERITIES = (1, 2, 3, 4, 5)
_LEAST = 32  # pixels of a side, below which kernels of up to 41 pixels leave nothing


def corrupt(
    images: Tensor, name: str, severity: int, indices: Sequence[int] | Tensor, seed: int = 0
) -> Tensor:
    """Return the images corrupted, each with noise of its own number.

    The noise depends on seed, number, corruption and severity alone: not on the batch, nor on other random numbers.
    NumPy's global generator, which corrupt-tta draws from, is put back afterwards; so do not call this from threads.

    Args:
        images: (B, 3, H, W) uint8.
        name: One of `NINETEEN`.
        severity: 1 to 5.
        indices: (B,) numbers of the images.
        seed: Of the noise, not negative.

    Returns:
        (B, 3, H, W) uint8, on the CPU.

    Raises:
        ValueError: corrupt-tta is not installed, or an argument is not what it must be.
    """
    numbers = [int(index) for index in indices]
    _check(images, name, severity, numbers, seed)
    corrupted = []
    for image, index in zip(images.cpu().permute(0, 2, 3, 1).numpy(), numbers, strict=True):
        entropy = np.random.SeedSequence((seed, index, NINETEEN.index(name), severity))
        pixels = _one(np.ascontiguousarray(image), name, severity, entropy)  # (H, W, 3) in 0..255
        corrupted.append(np.clip(pixels, 0, 255).astype(np.uint8))  # rounded down, as ImageNet-C
    return torch.from_numpy(np.stack(corrupted)).permute(0, 3, 1, 2).contiguous()


def _check(images: Tensor, name: str, severity: int, numbers: Sequence[int], seed: int) -> None:
    """Raise a ValueError for what cannot be corrupted."""
    if name not in NINETEEN:
        raise ValueError(
            f"there is no corruption {name!r}{suggestion(name, NINETEEN)}; allowed are {listing(NINETEEN, 19)}"
        )
    if severity not in SEVERITIES:
        raise ValueError(f"the severity of a corruption is 1 to 5, not {severity}")
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != torch.uint8:
        raise ValueError(
            f"images to corrupt must be (B, 3, H, W) of torch.uint8, not {tuple(images.shape)} of {images.dtype}"
        )
    if min(images.shape[2:]) < _LEAST:
        height, width = images.shape[2:]
        raise ValueError(
            f"images of {height} x {width} pixels cannot be corrupted: the strengths are for 224 x 224, and below "
            f"{_LEAST} x {_LEAST} nothing is left"
        )
    if len(numbers) != len(images):
        raise ValueError(f"{len(images)} images need a number each, not {len(numbers)} numbers")
    if seed < 0:
        raise ValueError(f"a seed must not be negative: {seed}")


def _one(
    image: npt.NDArray[np.uint8], name: str, severity: int, entropy: np.random.SeedSequence
) -> npt.NDArray[Any]:
    """Return one image (H, W, 3) corrupted, in 0..255."""
    try:
        import corrupt_tta
    except ImportError as error:
        raise ValueError(
            f"corruptions are made by corrupt-tta, which cannot be loaded ({error}): pip install 'unseen[corruptions]'"
        ) from error
    with _drawing_from(entropy):
        if name in MADE:
            pixels = MADE[name]((image / 255).astype(np.float32), severity, np.random.default_rng(entropy))
            return pixels.clip(0, 1) * 255
        return np.asarray(corrupt_tta.corrupt(image, severity, name))


@contextmanager
def _drawing_from(entropy: np.random.SeedSequence) -> Iterator[None]:
    """Seed NumPy's global generator, and put it back."""
    before = np.random.get_state()  # noqa: NPY002 -- corrupt-tta has no other generator
    np.random.seed(entropy.generate_state(8))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
