"""Any torch `Dataset` of pictures and class numbers, and what torchvision's data sets have in common with it."""

from __future__ import annotations

import operator
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from unseen.data.catalog import Catalog, Counts, Entry, ImageSource, Part
from unseen.data.images import BadImageError, to_rgb
from unseen.wording import one_line

_LABELS = ("targets", "labels", "_labels", "y")
_PAIRS = ("samples", "_samples", "imgs")
_CLASS_NAMES = ("classes", "categories")
_LOCK = threading.Lock()  # data sets are written for processes, so one thread at a time reads


@dataclass(frozen=True)
class TorchDatasetSource(ImageSource):
    """A torch `Dataset` whose images are neither normalised nor augmented: that is done on batches, later.

    Item i is (image, label): a picture of Pillow, or a tensor (3, H, W), (1, H, W) or (H, W), uint8 or float in 0..1;
    and a class number. Classes have the names in `dataset.classes`, else their numbers. Labels that are listed
    (`dataset.targets` or `.labels`) save reading all items to learn them.

    Attributes:
        dataset: With `__len__` and `__getitem__`.
        test_dataset: Another with the test images; None: a share of each seen class becomes test images.
    """

    dataset: Any = None
    test_dataset: Any = None

    def check(self) -> None:
        """Refuse what is no data set of images; reads one item of each."""
        if self.dataset is None:
            raise ValueError(
                "data.source.dataset is missing: write data.source.dataset={_target_: my.package.MyDataset}, a torch "
                "Dataset whose items are (image, label)"
            )
        for part, images in self._parts().items():
            place = "data.source.test_dataset" if part == "test" else "data.source.dataset"
            if not (hasattr(images, "__len__") and hasattr(images, "__getitem__")):
                raise ValueError(
                    f"{place} is {type(images).__name__}, which has no length or no items by number"
                )
            if len(images) == 0:
                raise ValueError(f"{place} has no items")
            try:
                item = images[0]
                _label_of(item)
                to_picture(item[0])
            except Exception as error:  # whatever the data set raises
                raise ValueError(f"{place} cannot be used: {one_line(error)}") from error

    def known_counts(self) -> Counts | None:
        """Return the number of images by class and part, or None where the labels are not listed."""
        listed = all(_listed_labels(images) is not None for images in self._parts().values())
        return self.list().counts() if listed else None

    def list(self) -> Catalog:
        """Return every image."""
        return catalog_of(self._parts(), self._labels)

    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB."""
        part, _, position = reference.partition("/")
        with _LOCK:
            item = self._parts()[part][int(position)]  # type: ignore[index]
        label, listed = _label_of(item), self._labels[part][int(position)]  # type: ignore[index]
        if label != listed:
            raise BadImageError(f"label {label} now, and {listed} in the data set's list")
        return to_picture(item[0])

    def _parts(self) -> dict[Part, Any]:
        if self.test_dataset is None:
            return {"whole": self.dataset}
        return {"train": self.dataset, "test": self.test_dataset}

    @cached_property
    def _labels(self) -> dict[Part, Sequence[int]]:
        return {part: labels_of(images) for part, images in self._parts().items()}


def catalog_of(parts: Mapping[Part, Any], labels: Mapping[Part, Sequence[int]]) -> Catalog:
    """Return the labelled images of data sets by part, given the class number of every image."""
    names = class_names(parts, labels)
    return Catalog.of(
        [
            Entry(f"{part}/{position:07d}", name, part)
            for part in parts
            for position, name in enumerate(names[part])
            if name is not None
        ]
    )


def class_names(
    parts: Mapping[Part, Any], labels: Mapping[Part, Sequence[int]]
) -> dict[Part, list[str | None]]:
    """Return the class name of every image of data sets by part, None for the unlabelled (below 0).

    Sets that name no classes, or not one for each label, have the numbers as names.
    """
    highest = max((max(some, default=0) for some in labels.values()), default=0)
    width = len(str(highest))  # "07" sorts before "10"
    images = next(iter(parts.values()))
    names = [getattr(images, key, None) for key in _CLASS_NAMES]
    listed = next((list(some) for some in names if isinstance(some, list | tuple | np.ndarray)), [])
    texts = [str(name[0]) if isinstance(name, tuple | list) else str(name) for name in listed]
    if len(set(texts)) < len(texts) or highest >= len(texts):
        texts = [f"{label:0{width}d}" for label in range(highest + 1)]
    return {part: [texts[label] if label >= 0 else None for label in some] for part, some in labels.items()}


def to_picture(image: Any) -> Image.Image:
    """Return a picture of Pillow, or a tensor (3, H, W), (1, H, W) or (H, W), as 8-bit RGB.

    Raises:
        BadImageError: Another kind, another shape, or values that are neither uint8 nor float in 0..1.
    """
    if isinstance(image, Image.Image):
        return to_rgb(image)
    values = np.asarray(image)
    if values.ndim == 3 and values.shape[0] in (1, 3):
        values = values[0] if values.shape[0] == 1 else values.transpose(1, 2, 0)  # (H, W) or (H, W, 3)
    elif values.ndim != 2:
        raise BadImageError(
            f"a {type(image).__name__} of shape {values.shape} instead of a PIL image or a tensor (3, H, W), (1, H, W) "
            "or (H, W)"
        )
    if values.dtype.kind == "f":
        low, high = values.min(), values.max()
        if not (low >= 0 and high <= 1):
            raise BadImageError(
                f"float values from {low:g} to {high:g} instead of 0 to 1: leave the normalisation out"
            )
        values = np.rint(values * 255).astype(np.uint8)
    if values.dtype != np.uint8:
        raise BadImageError(f"{values.dtype} values instead of uint8, or float from 0 to 1")
    return Image.fromarray(np.ascontiguousarray(values)).convert("RGB")


def labels_of(images: Any) -> list[int]:
    """Return the class number of every image: listed in one of the usual attributes, else read item by item.

    Raises:
        ValueError: An item that cannot be read, or is no pair of an image and a class number.
    """
    labels = _listed_labels(images)
    if labels is None:
        labels = []
        for position in range(len(images)):
            try:
                labels.append(_label_of(images[position]))
            except Exception as error:  # whatever the data set raises
                raise ValueError(f"item {position} of {type(images).__name__}: {one_line(error)}") from error
    return labels


def _listed_labels(images: Any) -> list[int] | None:
    for key in (*_LABELS, *_PAIRS):
        found: Any = getattr(images, key, None)
        try:
            values = np.asarray([pair[1] for pair in found] if key in _PAIRS else found)
        except (TypeError, ValueError, IndexError, RuntimeError):  # nothing, or no list of numbers
            continue
        if values.shape == (len(images),) and values.dtype.kind in "iu":
            labels: list[int] = values.tolist()
            return labels
    return None


def _label_of(item: Any) -> int:
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise BadImageError(f"a {type(item).__name__} instead of a pair (image, label)")
    try:
        return operator.index(item[1])
    except TypeError:
        raise BadImageError(f"label {item[1]!r} instead of a class number") from None
