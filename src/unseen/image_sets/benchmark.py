"""What a benchmark is: a place on disk from which sets of images are read; and which ones are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from unseen.image_sets.class_folders import MissingImagesError, Subset, labelled_folders, missing_from
from unseen.image_sets.image_set import Group, ImageSet
from unseen.image_sets.pictures import SIDE


@runtime_checkable
class Benchmark(Protocol):
    """A reader of one public layout, with its settings; making one opens nothing."""

    def open(self, name: str, size: int = SIDE) -> list[ImageSet]:
        """Return its sets of images, which are listed, not decoded.

        Args:
            name: What the benchmark is called; names of its sets begin with it.
            size: Side of the images.

        Raises:
            MissingImagesError: It is not on this machine.
            ValueError: What is there is not in its layout; one sentence names the file or folder and what is allowed.
        """
        ...


@dataclass(frozen=True)
class LabelledFolder:
    """Images in `root/CLASS/...` or `root/folder/CLASS/...`; for the names of classes see `labelled_folders`.

    So are ImageNet's validation images (`folder=val`), V2, A, R, Sketch, edges, silhouettes, and one's own images.

    Attributes:
        root: A folder or zip archive; None: missing.
        group: Which mean over benchmarks it belongs to.
        folder: Where in the root the class folders are, or a list of such places: the first that is there.
        keep: `imagenet_a` or `imagenet_r`: decide among its 200 classes only.
        class_map: A JSON file of class names and outputs, for class folders of other names or other networks.
        expected: Number of images of the public set; another number is told as a notice.
    """

    root: str | None = None
    group: Group | None = None
    folder: str | Sequence[str] | None = None
    keep: Subset | None = None
    class_map: str | None = None
    expected: int | None = None

    def open(self, name: str, size: int = SIDE) -> list[ImageSet]:
        """Return the one set."""
        found = labelled_folders(
            self.root,
            f"benchmark.{name}.root",
            folder=self.folder,
            keep=self.keep,
            class_map=self.class_map,
        )
        notices = (*missing_from(len(found.paths), self.expected), *found.notices)
        accepted = found.labels[:, None]
        return [
            ImageSet(name, name, self.group, found.pictures(size), accepted, found.decision, notices=notices)
        ]


def available(
    benchmarks: Mapping[str, Benchmark], size: int = SIDE
) -> tuple[dict[str, ImageSet], dict[str, str]]:
    """Return the sets of images that are on this machine by name, and why others are not: a sentence for each name.

    Args:
        benchmarks: By name.
        size: Side of the images.

    Raises:
        ValueError: A benchmark that is there cannot be read; one sentence.
    """
    found: dict[str, ImageSet] = {}
    missing: dict[str, str] = {}
    for name, benchmark in benchmarks.items():
        try:
            sets = benchmark.open(name, size)
        except MissingImagesError as error:
            missing[name] = str(error)
            continue
        except ValueError as error:
            named = str(error).startswith("benchmark.")
            raise ValueError(str(error) if named else f"benchmark.{name}: {error}") from error
        found |= {image_set.name: image_set for image_set in sets}
    return found, missing
