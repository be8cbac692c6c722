"""Colour dependence: what share of the accuracy is lost on grey images of the same luminance.

Legend: B batch, H and W image height and width, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier, relative_to_clean, right_under

_LUMINANCE = (
    0.2126,
    0.7152,
    0.0722,
)  # of linear red, green and blue: IEC 61966-2-1 (sRGB), CIE Y of its primaries


def grey(images: Tensor) -> Tensor:
    """Return images (..., 3, H, W) without colour: three equal channels, each pixel with the luminance it had.

    The images are sRGB in [0, 1]. Weighting the stored values, as video's luma does, would darken saturated colours.
    """
    linear = torch.where(images <= 0.04045, images / 12.92, ((images + 0.055) / 1.055) ** 2.4)
    weights = torch.tensor(_LUMINANCE, dtype=images.dtype, device=images.device)[:, None, None]
    luminance = (linear * weights).sum(dim=-3, keepdim=True)  # (..., 1, H, W)
    stored = torch.where(
        luminance <= 0.0031308, luminance * 12.92, 1.055 * luminance.clamp(min=1e-9) ** (1 / 2.4) - 0.055
    )
    return stored.clamp(0, 1).expand_as(images)


@dataclass(frozen=True)
class ColorDependence:
    """One minus the accuracy on grey images over that on the clean ones; an own definition.

    0: colour adds nothing. 1: without colour, no image is right. Below 0: grey images are recognised better. A network
    that guesses has still the accuracy of chance on grey images, so with few classes the value stays below 1.
    """

    columns: ClassVar[tuple[str, ...]] = ("clean", "grey")
    passes: ClassVar[int] = 2
    needs_textures: ClassVar[bool] = False

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return whether each image is right in colour and in grey, (B, 2) of 0 and 1."""
        return right_under(classifier, batch, [batch.images, grey(batch.images)])

    def values(self, means: Array) -> dict[str, Array]:
        """Return `color_dependence`, (R,), of means (R, 2); NaN where no clean image is right."""
        return {"color_dependence": 1 - relative_to_clean(means)[:, 0]}
