"""The pixels of a set of images, read from files or kept in an array.

Legend: B batch, N images, S side of an image in pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from unseen.data.canvases import Names, UnreadableImageError
from unseen.data.files import FileTree, tree_at
from unseen.data.images import decode
from unseen.threads import cores
from unseen.wording import one_line, printable

SIDE = 224  # of the public benchmarks' images
RESIZED = 256  # the shorter side before the centre is cut out
_MOST_THREADS = 8
PREPARATION = 1  # to be raised with every change that changes a pixel: kept images are then left alone


class Pictures(Protocol):
    """N images of S x S pixels.

    Attributes:
        size: S.
    """

    @property
    def size(self) -> int: ...  # noqa: D102

    def __len__(self) -> int: ...

    def read(self, numbers: Sequence[int]) -> Tensor:
        """Return images by number, (B, 3, S, S) uint8.

        Raises:
            UnreadableImageError: A file is no usable image; it is named.
        """
        ...

    def only(self, numbers: Sequence[int]) -> Pictures:
        """Return some of the images, numbered anew."""
        ...

    def names(self) -> Sequence[str]:
        """Return what to call each image, N texts."""
        ...

    def stamps(self) -> list[str]:
        """Return N texts, each of which changes with the pixels of its image."""
        ...


@dataclass(frozen=True, eq=False)
class FilePictures:
    """Image files in a folder or zip archive.

    Attributes:
        root: The folder or archive.
        paths: N paths in it.
        size: S.
    """

    root: str
    paths: Names
    size: int = SIDE

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, numbers: Sequence[int]) -> Tensor:
        """Return images by number, see `Pictures`."""
        tree, paths = tree_at(self.root), [self.paths[number] for number in numbers]
        threads = min(cores(), len(paths), _MOST_THREADS)
        if threads < 2:
            images = [self._read(tree, path) for path in paths]
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
                images = list(pool.map(lambda path: self._read(tree, path), paths))
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()

    def only(self, numbers: Sequence[int]) -> FilePictures:
        """Return some of the images, numbered anew."""
        return FilePictures(self.root, Names(self.paths[number] for number in numbers), self.size)

    def names(self) -> Sequence[str]:
        """Return the paths in the root."""
        return list(self.paths)

    def stamps(self) -> list[str]:
        """Return place, size and times of each file; a hash of its content where it was changed just now."""
        tree, paths = tree_at(self.root), list(self.paths)
        stamps = tree.stamps(paths)
        if stamps is None:  # another change could have the same times
            stamps = [_content_hash(tree, path) for path in paths]
        return [f"prepared {PREPARATION} at {self.size}, {stamp}" for stamp in stamps]

    def _read(self, tree: FileTree, path: str) -> npt.NDArray[np.uint8]:
        try:
            return np.asarray(prepared(decode(tree.read(path)), self.size))
        except Exception as error:
            raise UnreadableImageError(
                f"{printable(path)} of {self.root} cannot be used ({printable(one_line(error))})"
            ) from error


@dataclass(frozen=True, eq=False)
class KeptPictures:
    """Images in memory or mapped from disk.

    Attributes:
        images: (N, 3, S, S) uint8.
        origin: Where they come from.
    """

    images: npt.NDArray[np.uint8]
    origin: Pictures

    @property
    def size(self) -> int:
        """S."""
        return self.origin.size

    def __len__(self) -> int:
        return len(self.images)

    def read(self, numbers: Sequence[int]) -> Tensor:
        """Return images by number, see `Pictures`."""
        return torch.from_numpy(self.images[list(numbers)])  # a copy

    def only(self, numbers: Sequence[int]) -> KeptPictures:
        """Return some of the images, numbered anew."""
        return KeptPictures(self.images[list(numbers)], self.origin.only(numbers))

    def names(self) -> Sequence[str]:
        """Return the names of the original."""
        return self.origin.names()

    def stamps(self) -> list[str]:
        """Return the stamps of the original."""
        return self.origin.stamps()


def prepared(image: Image.Image, size: int = SIDE) -> Image.Image:
    """Return an RGB picture as size x size.

    A picture of 224 x 224 was prepared by the authors of its set and is used as stored, whole. Of any other the
    shorter side is resized to size * 256 / 224 (bilinear) and the centre cut out, as torchvision's Resize(256) and
    CenterCrop(224) do.
    """
    if image.size in ((size, size), (SIDE, SIDE)):
        return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR)
    width, height = image.size
    short, long = min(width, height), round(size * RESIZED / SIDE)
    image = image.resize((int(long * width / short), int(long * height / short)), Image.Resampling.BILINEAR)
    left, top = (round((length - size) / 2) for length in image.size)
    return image.crop((left, top, left + size, top + size))


def _content_hash(tree: FileTree, path: str) -> str:
    try:
        return hashlib.sha256(tree.read(path)).hexdigest()
    except (OSError, ValueError) as error:  # reading it for its pixels will say so
        return f"unreadable: {one_line(error)}"
