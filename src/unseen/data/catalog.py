"""Sources of images, and the lists of images that they make before any image is decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from unseen.wording import count, listing

if TYPE_CHECKING:
    from PIL import Image

Part = Literal["train", "test", "whole"]
"""The source's own division: its training images, its test images, or not divided."""

Counts = Mapping[str, Mapping[Part, int]]
"""Number of images by class and part."""
_REASONS_SHOWN = 8


class DataUnavailableError(OSError):
    """Images could not be downloaded; the message names what to do instead."""


class LeftOut(NamedTuple):
    """Why a file or folder is left out, and in which class folder it lies ("": in none)."""

    reason: str
    class_name: str = ""


LeftOutCounts = Mapping[LeftOut, int]
"""How many files and folders are left out; a folder that is not looked into counts once."""


class Entry(NamedTuple):
    """One image: a reference that its source reads, its class, and the part that it belongs to."""

    reference: str
    class_name: str
    part: Part


@dataclass(frozen=True)
class Catalog:
    """All images of a source, sorted by class, part and reference.

    Attributes:
        entries: The images.
        left_out: What else lies there, by reason and class.
        test_folders: Names of the folders with the test images, where the source has such folders.
    """

    entries: tuple[Entry, ...]
    left_out: LeftOutCounts = field(default_factory=dict)
    test_folders: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, entries: list[Entry], left_out: LeftOutCounts | None = None, test_folders: Sequence[str] = ()
    ) -> Catalog:
        """Return the catalog of the entries, sorted."""
        ordered = sorted(entries, key=lambda entry: (entry.class_name, entry.part, entry.reference))
        return cls(tuple(ordered), left_out or {}, tuple(test_folders))

    @property
    def ignored(self) -> int:
        """Number of files and folders that are left out."""
        return sum(self.left_out.values())

    def classes(self) -> tuple[str, ...]:
        """Return the names of all classes, sorted."""
        return tuple(sorted({entry.class_name for entry in self.entries}))

    def counts(self) -> Counts:
        """Return the number of images by class and part."""
        found: dict[str, Counter[Part]] = {}
        for entry in self.entries:
            found.setdefault(entry.class_name, Counter())[entry.part] += 1
        return found


def left_out_sentence(counts: LeftOutCounts) -> str | None:
    """Return what is left out, the most frequent reason first, with its class folders; None: nothing is.

    >>> left_out_sentence({LeftOut(".heic", "ant"): 9, LeftOut(".heic", "bee"): 1, LeftOut("hidden"): 2})
    '12 files or folders left out: 10 .heic (in ant, bee), 2 hidden'
    """
    by_reason: Counter[str] = Counter()
    places: dict[str, list[str]] = {}
    for (reason, class_name), number in sorted(counts.items()):
        by_reason[reason] += number
        places.setdefault(reason, []).extend([class_name] if class_name else [])
    if not by_reason:
        return None
    parts = []
    for reason, number in by_reason.most_common(_REASONS_SHOWN):
        where = f" (in {listing(places[reason], shown=5)})" if places[reason] else ""
        parts.append(f"{number:,} {reason}{where}")
    if len(by_reason) > _REASONS_SHOWN:
        rest = sum(number for _, number in by_reason.most_common()[_REASONS_SHOWN:])
        parts.append(f"{rest:,} of {len(by_reason) - _REASONS_SHOWN} other kinds")
    total = count(sum(by_reason.values()), "file or folder", "files or folders")
    return f"{total} left out: {', '.join(parts)}"


@dataclass(frozen=True, kw_only=True)
class ImageSource(ABC):
    """A labelled image data set: subclasses write `list` and `read`, and what else they need of the rest.

    Making one costs nothing: nothing is opened before a method is called.

    Attributes:
        default_unseen: Classes held out when the user names none; None: the user must.
        default_seen: Classes trained on when the user names none; None: all that are not unseen.
    """

    default_unseen: tuple[str, ...] | None = None
    default_seen: tuple[str, ...] | None = None

    def check(self) -> None:  # noqa: B027
        """Raise ValueError, in one sentence, for settings that are impossible; downloads nothing."""

    def known_counts(self) -> Counts | None:
        """Return the number of images by class and part before anything is downloaded, None if it is not known."""
        return None

    def prepare(self) -> None:  # noqa: B027
        """Download what is missing, or raise DataUnavailableError: one sentence on what is missing and what to do."""

    @abstractmethod
    def list(self) -> Catalog:
        """Return every image without decoding any; ValueError where they are missing or laid out in another way."""

    @abstractmethod
    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB; safe in threads. Any exception means that this file is bad."""

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return for each image a text that differs whenever the image may have changed.

        Returns:
            None where there is no such text, or where reading an image costs nothing: decoded images are then not kept
            on disk.
        """
        return None
