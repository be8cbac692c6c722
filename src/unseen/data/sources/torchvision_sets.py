"""torchvision's classification data sets by name, with their own division of images."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from unseen.data.catalog import Catalog, DataUnavailableError, ImageSource, Part
from unseen.data.files import file_stamps
from unseen.data.sources.torch_dataset import catalog_of, labels_of, to_picture
from unseen.wording import one_line, suggestion

_NAMES = """
    CIFAR10 CIFAR100 Caltech101 Caltech256 Country211 DTD EMNIST EuroSAT FER2013 FGVCAircraft
    FashionMNIST Flowers102 Food101 GTSRB ImageNet Imagenette KMNIST MNIST OxfordIIITPet PCAM Places365
    QMNIST RenderedSST2 SEMEION STL10 SUN397 SVHN StanfordCars USPS
"""
CLASSIFICATION_SETS = tuple(_NAMES.split())
_SPLIT_NAMES: dict[Part, tuple[str, ...]] = {
    "train": ("train", "trainval", "train-standard"),
    "test": ("test", "val", "valid"),
}
_IMAGE_FILES = ("_image_files", "_images", "samples", "_samples", "imgs")


@dataclass(frozen=True)
class TorchvisionSet(ImageSource):
    """A data set of torchvision.

    Attributes:
        dataset: Its class name, such as "SVHN".
        root: Where it is or will be downloaded; None: `data_dir`.
        data_dir: Where downloads are kept.
        options: More arguments of the class, such as {"split": "letters"} for EMNIST.
    """

    dataset: str | None = None
    root: str | None = None
    data_dir: str = "data"
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def check(self) -> None:
        """Refuse a name that is none of torchvision's classification data sets."""
        if self.dataset not in CLASSIFICATION_SETS:
            problem = "data.dataset is missing"
            if self.dataset is not None:
                problem = (
                    f"data.dataset={self.dataset} is unknown{suggestion(self.dataset, CLASSIFICATION_SETS)}"
                )
            names = ", ".join(CLASSIFICATION_SETS)
            raise ValueError(f"{problem}; torchvision's classification sets are: {names}")

    def prepare(self) -> None:
        """Download the data set unless it is there."""
        self.check()
        try:
            self._parts(download=False)
        except (RuntimeError, OSError):  # torchvision raises RuntimeError for "not found"
            try:
                self._parts(download=True)
            except (RuntimeError, OSError) as error:
                raise DataUnavailableError(
                    f"{self.dataset} could not be downloaded to {self._folder} ({one_line(error)}); connect to the "
                    "network, or write data.root=path/to/folder where torchvision finds it"
                ) from error

    def list(self) -> Catalog:
        """Return every image."""
        try:
            parts = self._parts(download=False)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"{self.dataset} is not in {self._folder}: {one_line(error)}") from error
        return catalog_of(parts, {part: labels_of(images) for part, images in parts.items()})

    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB."""
        part, _, position = reference.partition("/")
        images = self._parts(download=False)[part]  # type: ignore[index]
        return to_picture(images[int(position)][0])

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return a text for each file that changes with its content; None for sets that are arrays in memory."""
        files: dict[str, Any] = {part: _files(images) for part, images in self._parts(download=False).items()}
        if None in files.values():
            return None
        places = (reference.split("/") for reference in references)
        return file_stamps(files[part][int(position)] for part, position in places)

    @property
    def _folder(self) -> Path:
        return Path(self.root or self.data_dir).expanduser()

    def _parts(self, *, download: bool) -> dict[Part, Any]:
        assert self.dataset is not None
        load = _load.__wrapped__ if download else _load  # what a download found is read again, once
        return load(self.dataset, str(self._folder), json.dumps(self.options, sort_keys=True), download)


@lru_cache(maxsize=2)
def _load(dataset: str, root: str, options: str, download: bool) -> dict[Part, Any]:
    """Return torchvision's data sets by part."""
    from torchvision import datasets

    factory = getattr(datasets, dataset)
    arguments: dict[str, Any] = {"root": root, **json.loads(options)}
    parameters = _parameters(factory)
    if "download" in parameters:
        arguments["download"] = download
    if download:
        Path(root).mkdir(parents=True, exist_ok=True)
    if "train" in parameters:
        return {"train": factory(train=True, **arguments), "test": factory(train=False, **arguments)}
    if "split" in parameters and "split" not in arguments:
        return {part: _first_split(factory, names, arguments) for part, names in _SPLIT_NAMES.items()}
    return {"whole": factory(**arguments)}


def _parameters(factory: type) -> set[str]:
    """Return the arguments of a class, with those that it hands on to its parents."""
    found: set[str] = set()
    for cls in factory.__mro__:
        own = inspect.signature(cls).parameters.values()
        found |= {parameter.name for parameter in own}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own):
            break
    return found


def _first_split(factory: Any, names: tuple[str, ...], arguments: dict[str, Any]) -> Any:
    """Return the data set with the first split name that it knows."""
    for name in names[:-1]:
        try:
            return factory(split=name, **arguments)
        except ValueError as error:
            if "split" not in str(error):
                raise
    return factory(split=names[-1], **arguments)


def _files(images: Any) -> list[str | os.PathLike[str]] | None:
    """Return the image file of every sample of a data set, or None if it has no such files."""
    for key in _IMAGE_FILES:
        if (found := getattr(images, key, None)) is not None:
            paths = [item[0] if isinstance(item, tuple | list) else item for item in found]
            if len(paths) == len(images) and all(isinstance(path, str | os.PathLike) for path in paths):
                return paths
    return None
