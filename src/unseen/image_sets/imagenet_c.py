"""Five corruptions of ImageNet-C (arXiv 1903.12261) that corrupt-tta 0.1.7 makes otherwise.

Steps and numbers are those of github.com/hendrycks/robustness, ImageNet-C/create_c/make_imagenet_c.py.

Its impulse noise cannot be seeded. Its motion blur and snow smear evenly, where ImageNet-C's fade along the way, so
that three severities of motion blur are equal. Its fog is as smooth at each severity. Its spatter is brown spots alone,
and severity 1 changes nearly nothing.
Legend: H and W image height and width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]
_IMPULSES = (0.03, 0.06, 0.09, 0.17, 0.27)  # share of the values
_SMEARS = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # reach in pixels, and the SD by which it fades
_FOGS = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # thickness, and decay of its detail
# Mean and SD of the noise, enlargement, least value of a flake, reach and SD of its smear, share of the image's colours
_SNOWS = (
    (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
# Mean and SD of the noise, SD of its blur, least value of a drop; of water its strength, of mud the SD of its edge
_WATERS = ((0.65, 0.3, 4.0, 0.69, 0.6), (0.65, 0.3, 3.0, 0.68, 0.6), (0.65, 0.3, 2.0, 0.68, 0.5))
_MUDS = ((0.65, 0.3, 1.0, 0.65, 1.5), (0.67, 0.4, 1.0, 0.65, 1.5))
_WATER, _MUD = (175, 238, 238), (63, 42, 20)  # red, green, blue
_RELIEF = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))  # lights drops from one side


def impulse_noise(image: Pixels, severity: int, generator: np.random.Generator) -> npt.NDArray[Any]:
    """Set some values to 0 or 1."""
    from skimage.util import random_noise

    return np.asarray(random_noise(image, mode="s&p", amount=_IMPULSES[severity - 1], rng=generator))


def motion_blur(image: Pixels, severity: int, generator: np.random.Generator) -> npt.NDArray[Any]:
    """Smear within 45 degrees of the horizontal."""
    return smeared(image, *_SMEARS[severity - 1], generator.uniform(-45, 45))


def fog(image: Pixels, severity: int, generator: np.random.Generator) -> npt.NDArray[Any]:  # noqa: ARG001 -- as others
    """Add a plasma fractal and compress the range; the fractal is drawn from NumPy's global generator."""
    from corrupt_tta.corruptions import plasma_fractal

    thickness, decay = _FOGS[severity - 1]
    height, width = image.shape[:2]
    side = max(256, 2 ** math.ceil(math.log2(max(height, width))))  # of 256 ImageNet-C takes 224
    brightest = image.max()
    foggy = image + thickness * plasma_fractal(side, decay)[:height, :width, None]
    return np.asarray(foggy * brightest / (brightest + thickness))


def snow(image: Pixels, severity: int, generator: np.random.Generator) -> npt.NDArray[Any]:
    """Whiten the image and add smeared flakes, in two opposite directions."""
    from corrupt_tta.corruptions import clipped_zoom

    mean, spread, zoom, least, reach, fade, kept = _SNOWS[severity - 1]
    noise = generator.normal(mean, spread, image.shape[:2])
    flakes = clipped_zoom(noise[..., None], zoom)
    flakes = np.where(flakes < least, 0, flakes).clip(0, 1).astype(np.float32)
    flakes = smeared(flakes[..., 0], int(reach), fade, generator.uniform(-135, -45))[..., None]
    luma = (image @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    whitened = kept * image + (1 - kept) * np.maximum(image, luma * 1.5 + 0.5)
    return np.asarray(whitened + flakes + np.rot90(flakes, 2))


def spatter(image: Pixels, severity: int, generator: np.random.Generator) -> npt.NDArray[Any]:
    """Add drops of water (severities 1 to 3) or cover with mud (4 and 5)."""
    import cv2
    from skimage.filters import gaussian

    mean, spread, blur, least, last = (*_WATERS, *_MUDS)[severity - 1]
    liquid = gaussian(generator.normal(mean, spread, image.shape[:2]), sigma=blur)
    liquid = np.where(liquid < least, 0, liquid)
    if severity > len(_WATERS):
        cover = gaussian((liquid > least).astype(np.float64), sigma=last)
        cover = np.where(cover < 0.8, 0, cover)[..., None]
        return np.asarray(image * (1 - cover) + cover * np.array(_MUD) / 255)
    drops = (liquid.clip(0, 1) * 255).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(drops, 50, 150), cv2.DIST_L2, 5)  # pixels from an edge
    inside = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    relief = cv2.filter2D(cv2.equalizeHist(inside), cv2.CV_8U, np.array(_RELIEF, np.float32))
    lit = drops * cv2.blur(relief, (3, 3)).astype(np.float32)
    light = last * lit / max(float(lit.max()), 1.0)
    return np.asarray(image + light[..., None] * np.array(_WATER) / 255)


def smeared(image: Pixels, reach: int, fade: float, angle: float) -> Pixels:
    """Return an image in which each pixel is the mean of those that follow in a direction, weights fading.

    As ImageMagick's motion blur: 2 reach + 1 pixels, Gaussian weights, each place rounded to a pixel, and the pixels at
    the border repeated beyond it.

    Args:
        image: (H, W, 3) or (H, W).
        reach: Half of the way, in pixels.
        fade: SD of the weights, in pixels.
        angle: In degrees, from right to down.
    """
    import cv2

    way = np.arange(2 * reach + 1)
    weights = np.exp(-(way**2) / (2 * fade**2))
    right, down = (
        np.ceil(way * part - 0.5).astype(int)
        for part in (math.cos(math.radians(angle)), math.sin(math.radians(angle)))
    )
    kernel = np.zeros((4 * reach + 1, 4 * reach + 1))
    np.add.at(kernel, (down + 2 * reach, right + 2 * reach), weights / weights.sum())
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE))


MADE: Mapping[str, Callable[[Pixels, int, np.random.Generator], npt.NDArray[Any]]] = {
    function.__name__: function for function in (impulse_noise, motion_blur, fog, snow, spatter)
}
