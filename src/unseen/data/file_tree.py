"""What a folder and a zip archive have in common: files below a root, named with forward slashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

# Deeper folders are left out: nobody sorts pictures so, and their paths are longer than systems can open.
DEEPEST = 100
TOO_DEEP = f"more than {DEEPEST} folders deep"


@dataclass
class Found:
    """What lies in a folder of a tree.

    Attributes:
        images: Paths of everything that is an image by its name, seen from the root, sorted. A link that leads
            nowhere or a device is among them: reading it says what is wrong.
        unreadable: Paths of folders that cannot be opened.
        left_out: Number of all other files, and of the folders that are not looked into, by reason.
    """

    images: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class FileTree(Protocol):
    """Files below a root."""

    def folders(self, where: str = "") -> tuple[str, ...]:
        """Return the names of the visible folders directly in `where`, sorted."""

    def find(self, where: str = "", *, deep: bool = True) -> Found:
        """Return what lies in `where`, with or without the visible folders in it."""

    def read(self, path: str) -> bytes:
        """Return the content of a file; safe in threads. Any exception means that it cannot be used."""

    def stamps(self, paths: Sequence[str]) -> list[str] | None:
        """Return for each file what changes with its content, or None where that cannot be told."""
