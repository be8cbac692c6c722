"""A change of the images of unseen classes alone: the domain shifts, from what was trained on to what is asked about.

Legend: B images, S image side.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

Shift = Literal["none", "blur", "invert", "contrast"]
SHIFTS: tuple[Shift, ...] = get_args(Shift)
# as strong as severity 4 of ImageNet-C (Hendrycks and Dietterich, arXiv 1903.12261)
_BLUR = 4 / 224  # standard deviation, a share of S
_CONTRAST = 0.1  # what is left of each pixel's distance from the mean of its channel


def shifted(images: Tensor, shift: Shift) -> Tensor:
    """Return images (B, 3, S, S) float32 in 0..1 under a shift, in the same range; nothing is drawn.

    `blur` is a Gaussian of standard deviation 4 S / 224 pixels; `invert` makes 1 - x of a value x; `contrast` moves
    each value towards the mean of its image and channel, of which a tenth of the distance is left.
    """
    if shift == "blur":
        from torchvision.transforms.v2.functional import gaussian_blur

        sigma = _BLUR * images.shape[-1]
        side = 2 * math.ceil(3 * sigma) + 1  # of the kernel: three standard deviations each way
        blurred: Tensor = gaussian_blur(images, [side, side], [sigma, sigma])
        return blurred
    if shift == "invert":
        return 1 - images
    if shift == "contrast":
        return torch.lerp(images.mean((2, 3), keepdim=True), images, _CONTRAST)
    return images
