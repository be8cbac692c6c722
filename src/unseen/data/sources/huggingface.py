"""Image data sets of the Hugging Face hub, or saved to disk, through the `datasets` library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from unseen.data.catalog import Catalog, DataUnavailableError, Entry, ImageSource, Part
from unseen.data.images import to_rgb
from unseen.wording import listing, one_line

_TEST = ("test", "validation", "valid", "val")


@dataclass(frozen=True)
class HuggingFaceSet(ImageSource):
    """A data set with a column of images and one of classes.

    Its splits `train` and `test` (else `validation`) are training and test images. One split alone is not divided.

    Attributes:
        name: `owner/name` on the hub, or a folder that `save_to_disk` wrote.
        subset: Which of its configurations, where it has several.
        image_column: The column of images; None: the only one.
        label_column: The column of classes, numbers with names or texts; None: the only one of classes, else `label`.
        data_dir: Where downloads are kept.
    """

    name: str | None = None
    subset: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    data_dir: str = "data"

    def check(self) -> None:
        """Refuse a missing name, and a missing library."""
        if not self.name or self.name == "huggingface":
            raise ValueError(
                "data.name is missing: write data=huggingface data.name=owner/name, or data.name=path/to/folder for a "
                "data set that save_to_disk wrote"
            )
        try:
            import datasets  # noqa: F401  (only whether it is there)
        except ModuleNotFoundError as error:
            raise DataUnavailableError(
                "data=huggingface needs the library datasets: pip install datasets"
            ) from error

    def prepare(self) -> None:
        """Download the data set unless it is there."""
        self._parts()

    def list(self) -> Catalog:
        """Return every image that has a class."""
        entries = []
        for part, images in self._parts().items():
            _, label = self._columns(images)
            names = getattr(images.features[label], "names", None)
            for position, value in enumerate(images[label]):
                if value is not None and value != -1:  # unlabelled
                    name = names[value] if names else str(value)
                    entries.append(Entry(f"{part}/{position:07d}", name, part))
        return Catalog.of(entries)

    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB."""
        part, _, position = reference.partition("/")
        images = self._parts()[part]  # type: ignore[index]
        return to_rgb(images[int(position)][self._columns(images)[0]])

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return for each image the fingerprint of its part of the data set, and its place there."""
        marks = {part: images._fingerprint for part, images in self._parts().items()}
        return [f"{marks[reference.partition('/')[0]]} {reference}" for reference in references]  # type: ignore[index]

    def _parts(self) -> dict[Part, Any]:
        self.check()
        return _load(str(self.name), self.subset, str(Path(self.data_dir).expanduser() / "huggingface"))

    def _columns(self, images: Any) -> tuple[str, str]:
        """Return the columns of images and of classes."""
        kinds = {name: type(kind).__name__ for name, kind in images.features.items()}
        pictures = [name for name, kind in kinds.items() if kind == "Image"]
        classes = [name for name, kind in kinds.items() if kind == "ClassLabel"]
        classes = classes if len(classes) == 1 else [name for name in ("label",) if name in kinds]
        columns = []
        for setting, typed, found in (
            ("image_column", self.image_column, pictures),
            ("label_column", self.label_column, classes),
        ):
            if typed is None and len(found) != 1:
                raise ValueError(
                    f"data.{setting} is needed: {self.name} has the columns {listing(list(kinds))}"
                )
            if typed is not None and typed not in kinds:
                raise ValueError(f"data.{setting}={typed} is no column; there are {listing(list(kinds))}")
            columns.append(found[0] if typed is None else typed)
        if columns[0] not in pictures:
            raise ValueError(
                f"data.image_column={columns[0]} holds {kinds[columns[0]]} and no images; "
                f"columns of images: {listing(pictures) or 'none'}"
            )
        return columns[0], columns[1]


@lru_cache(maxsize=2)
def _load(name: str, subset: str | None, cache: str) -> dict[Part, Any]:
    """Return the data set by part."""
    import datasets

    try:
        if Path(name).is_dir() and any(
            (Path(name) / file).is_file() for file in ("dataset_dict.json", "state.json")
        ):
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(name, subset, cache_dir=cache)
    except ValueError as error:  # several configurations, one of them to be named
        raise ValueError(f"data.name={name}, data.subset={subset}: {one_line(error)[:300]}") from error
    except Exception as error:  # of the hub's client, of its cache, of a file: many kinds
        raise DataUnavailableError(
            f"data.name={name} is not in {cache} and could not be fetched ({one_line(error)[:200]}): connect once, "
            "check the name, or give a folder that save_to_disk wrote"
        ) from error
    if not isinstance(found, dict):
        return {"whole": found}
    test = next((split for split in _TEST if split in found), None)
    if "train" in found and test:
        return {"train": found["train"], "test": found[test]}
    if len(found) == 1:
        return {"whole": next(iter(found.values()))}
    raise ValueError(
        f"data.name={name} has the splits {listing(list(found))}, not train and test or validation"
    )
