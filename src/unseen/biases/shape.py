"""Shape bias: how often a network follows the shape of an image rather than its texture (arXiv 1811.12231, section 2).

Cue-conflict images have the shape of one class and the texture of another. Decisions for neither are ignored, and
images whose shape and texture are of one class tell nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier

Classes = Sequence[int] | Sequence[str] | npt.NDArray[Any] | Tensor


def shape_bias(decisions: Classes, shapes: Classes, textures: Classes) -> float:
    """Return the share of decisions for the shape, among decisions for the shape or the texture.

    >>> shape_bias(["cat", "dog", "cat", "car"], ["cat"] * 4, ["dog", "dog", "cat", "dog"])
    0.5

    Args:
        decisions: (N,) the class that the network decides for; numbers or names, as are the other two.
        shapes: (N,) the class of each image's shape.
        textures: (N,) the class of each image's texture. Images with that of their shape are left out.

    Returns:
        A value in [0, 1], 1 is shape only; NaN if no image is decided for its shape or its texture.

    Raises:
        ValueError: The three differ in length, are not one-dimensional, or are not all numbers or all names.
    """
    decided, shape, texture = (
        _classes(name, values)
        for name, values in (("decisions", decisions), ("shapes", shapes), ("textures", textures))
    )
    if not len(decided) == len(shape) == len(texture):
        raise ValueError(
            f"{len(decided)} decisions, {len(shape)} shapes and {len(texture)} textures: each image needs one of each"
        )
    if len({array.dtype.kind in "iu" for array in (decided, shape, texture) if array.size}) > 1:
        raise ValueError(
            "decisions, shapes and textures must be all class numbers or all class names, not both"
        )
    conflict = shape != texture
    n_shape = int(((decided == shape) & conflict).sum())
    n_texture = int(((decided == texture) & conflict).sum())
    return n_shape / (n_shape + n_texture) if n_shape + n_texture else math.nan


@dataclass(frozen=True)
class ShapeBias:
    """Shape bias of the images of a cue-conflict set.

    Its columns are shares of all images: `shape` are in conflict and decided for the shape, `texture` for the texture.
    """

    columns: ClassVar[tuple[str, ...]] = ("shape", "texture")
    passes: ClassVar[int] = 1
    needs_textures: ClassVar[bool] = True

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return whether each image is decided for its shape and whether for its texture, (B, 2) of 0 and 1."""
        if batch.textures is None:
            raise ValueError("shape bias needs cue-conflict images, and this set has no textures")
        with torch.no_grad():
            decisions = classifier(batch.images).argmax(dim=1)  # (B,)
        shapes, textures = batch.labels.to(decisions.device), batch.textures.to(decisions.device)
        conflict = shapes != textures
        counted = [(decisions == classes) & conflict for classes in (shapes, textures)]
        return torch.stack(counted, dim=1).float()

    def values(self, means: Array) -> dict[str, Array]:
        """Return `shape_bias`, (R,), of means (R, 2)."""
        n_shape, n_texture = means[:, 0], means[:, 1]
        with np.errstate(invalid="ignore"):
            return {"shape_bias": n_shape / (n_shape + n_texture)}  # 0 / 0 is NaN


def _classes(name: str, values: Classes) -> npt.NDArray[Any]:
    """Return the classes as an array (N,) of integers or of strings."""
    array = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one class an image, (N,), not an array of shape {array.shape}")
    if array.size and array.dtype.kind not in "iuUO":
        raise ValueError(f"{name} must be class numbers or class names, not {array.dtype}")
    return array.astype(str) if array.dtype.kind == "O" else array
