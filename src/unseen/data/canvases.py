"""Images as canvases of one size, decoded ahead or when they are asked for.

A canvas is the picture with its shortest side resized to S, padded with white, and cut about its centre to
S + 2p: what is left is all that a rotation by an allowed angle and a centre crop to S can show. Its three channels lie
one after the other in memory, as networks want them.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from unseen.data.selection import Chosen
from unseen.threads import cores
from unseen.wording import count, one_line, printable

Pixels = npt.NDArray[np.uint8]
Read = Callable[[str], Image.Image]
"""Gives the RGB picture of a reference; any exception means that this file is bad."""

# To be raised with every change, here or in `images`, that changes, moves or refuses a single pixel of a single canvas:
# canvases kept on disk by other versions are then left alone.
PIXELS_VERSION = 4
WHITE = 255
_LONGEST_ASPECT = 8  # a banner is cut about its centre to 8:1 first: the rest would never be seen
_IMAGES_PER_TASK = 64
_MAX_THREADS = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """The sizes of a canvas.

    Attributes:
        size: S, the side of the images that a network gets.
        pad: White border in pixels around the resized picture.
        margin: p, what a canvas keeps around the S x S centre: `pad`, or 0 if nothing will be rotated.
    """

    size: int
    pad: int
    margin: int

    @property
    def side(self) -> int:
        """Side of a canvas, S + 2p."""
        return self.size + 2 * self.margin

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a canvas, (3, S+2p, S+2p)."""
        return (3, self.side, self.side)

    @property
    def bytes(self) -> int:
        """Memory of a canvas."""
        return math.prod(self.shape)


class UnreadableImageError(ValueError):
    """A file met while images are decoded on the fly that is no usable image; the message is a sentence."""


class Names:
    """Many strings in one block of bytes, without an object for each.

    A million paths then take 40 MB instead of 130, and processes forked from this one share them: reading an object
    would write its reference count, and so copy the memory around it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, position: int) -> str:
        first, end = self._ends[position : position + 2]
        return self._bytes[first:end].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True)
class CanvasStore:
    """N labelled canvases; the position is a sample's index.

    Attributes:
        labels: (N,) int64.
        references: N names that `read` takes.
        canvases: (N, 3, S+2p, S+2p) uint8 on any device; None: they are decoded when they are asked for.
        read: Gives the pictures.
        frame: The size of the canvases.
    """

    labels: Tensor
    references: Names
    canvases: Tensor | None
    read: Read
    frame: Frame

    def __len__(self) -> int:
        return len(self.references)

    def take(self, indices: Tensor) -> Tensor:
        """Return the canvases (B, 3, S+2p, S+2p) with these indices (B,), a copy.

        Raises:
            UnreadableImageError: A file that is decoded now is no usable image.
        """
        if self.canvases is not None:
            # [indices] would go pixel by pixel
            return self.canvases.index_select(0, indices.to(self.canvases.device))
        canvases = np.empty((len(indices), *self.frame.shape), dtype=np.uint8)
        with quiet_pillow():
            for place, index in enumerate(indices.tolist()):
                reference = self.references[index]
                try:
                    canvases[place] = to_canvas(self.read(reference), self.frame)
                except Exception as error:
                    raise UnreadableImageError(
                        f"{printable(reference)} cannot be used ({printable(one_line(error))}); mend or remove it, or "
                        "have all files read before the start, and such files left out, with data.skip_bad=true"
                    ) from error
        return torch.from_numpy(canvases)


def to_canvas(image: Image.Image, frame: Frame) -> Pixels:
    """Return the (3, S+2p, S+2p) canvas of an RGB picture.

    Equal, pixel by pixel, to torchvision's Resize(S), Pad(pad, fill=255) and the centre of the result, but for the
    first pixel where the centre is not that of the picture, see `half_pixels`.
    """
    width, height = image.size
    limit = _LONGEST_ASPECT * min(width, height)
    if max(width, height) > limit:
        left, top = max(0, (width - limit) // 2), max(0, (height - limit) // 2)
        image = image.crop((left, top, left + min(width, limit), top + min(height, limit)))
        width, height = image.size
    short = min(width, height)
    new = (int(frame.size * width / short), int(frame.size * height / short))
    if image.size != new:
        image = image.resize(new, Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", (frame.side, frame.side), (WHITE,) * 3)
    left, top = (_crop_start(length + 2 * frame.pad, frame.size) - frame.pad for length in new)
    canvas.paste(image, (frame.margin - left, frame.margin - top))
    pixels = np.stack([np.asarray(channel) for channel in canvas.split()])
    if frame.margin:
        for axis, (start, length) in enumerate(zip((left, top), new, strict=True)):
            pixels[axis, 0, 0] -= (2 * start - (length - frame.size)) % 3  # 0, 1, or 2 for -1
    return pixels


def half_pixels(canvases: Tensor) -> Tensor:
    """Return by how much the centres of canvases are right of and below their pictures' centres, (B, 2): -.5, 0, .5.

    A picture that is an odd number of pixels longer than the centre has it half a pixel off, on one side or the other.
    Rotation is about the picture's centre, so a canvas with a margin has this in its first pixel. That is white for
    each picture, and outside of all that a rotation shows: its red value is 255, 254 or 253 for 0, .5 or -.5 to the
    right, the green one downwards.
    """
    return (256 - canvases[:, :2, 0, 0].float()).remainder_(3).sub_(1).div_(2)


def _crop_start(length: int, size: int) -> int:
    """Return where a centre crop begins, rounded half to even as torchvision does."""
    return round((length - size) / 2)


class Decoded(NamedTuple):
    """Canvases (N, 3, S+2p, S+2p) uint8, maybe read-only, or None; and why some are worthless: reasons by position."""

    canvases: Pixels | None
    reasons: Mapping[int, str]


class Decode(Protocol):
    """A way to canvases."""

    def __call__(
        self, read: Read, references: Sequence[str], frame: Frame, *, show_progress: bool
    ) -> Decoded:
        """Return the canvases of the references, in their order."""


def decode_each(
    read: Read,
    references: Sequence[str],
    frame: Frame,
    put: Callable[[int, Pixels], object],
    *,
    show_progress: bool,
) -> dict[int, str]:
    """Hand on the canvas of every good file, and return what is wrong with the bad ones by position.

    Decoding runs in threads, with a progress bar on a terminal and one log line elsewhere.

    Args:
        read: Gives the pictures.
        references: Which.
        frame: The size of the canvases.
        put: Takes a position and its canvas; called by many threads. What it raises ends the decoding.
        show_progress: False keeps even a terminal quiet.
    """
    reasons: dict[int, str] = {}

    def decode_some(first: int) -> int:
        last = min(first + _IMAGES_PER_TASK, len(references))
        for position in range(first, last):
            try:
                canvas = to_canvas(read(references[position]), frame)
            except Exception as error:
                reasons[position] = one_line(error)
            else:
                put(position, canvas)
        return last - first

    began = time.monotonic()
    with quiet_pillow(), progress("decoding images", len(references), show_progress) as advance:
        _run_in_threads(decode_some, range(0, len(references), _IMAGES_PER_TASK), advance)
    _log.info("decoded %s in %.1f s", count(len(references), "image"), time.monotonic() - began)
    return reasons


def decode_into_memory(
    read: Read, references: Sequence[str], frame: Frame, *, show_progress: bool
) -> Decoded:
    """Return the canvases as an array of this process."""
    canvases = np.empty((len(references), *frame.shape), dtype=np.uint8)  # (N, 3, S+2p, S+2p)
    put = canvases.__setitem__
    return Decoded(canvases, decode_each(read, references, frame, put, show_progress=show_progress))


def check_each(read: Read, references: Sequence[str], frame: Frame, *, show_progress: bool) -> Decoded:
    """Return no canvases, but the reasons: every image is decoded once and forgotten."""
    return Decoded(None, decode_each(read, references, frame, lambda *_: None, show_progress=show_progress))


def decode_all(
    read: Read,
    kinds: Sequence[Chosen],
    frame: Frame,
    *,
    decode: Decode | None = decode_into_memory,
    show_progress: bool = True,
) -> tuple[list[CanvasStore], tuple[tuple[str, str], ...]]:
    """Return a store for each kind, without the bad files, and the bad files as (reference, reason).

    Args:
        read: Gives the pictures.
        kinds: Training, test and unseen images, say.
        frame: The size of the canvases.
        decode: Where the canvases come from; None: they are decoded when they are asked for.
        show_progress: False keeps even a terminal quiet.
    """
    references = [reference for kind in kinds for reference in kind.references]
    labels = np.asarray([label for kind in kinds for label in kind.labels], dtype=np.int64)
    canvases, reasons = Decoded(None, {})
    if decode is not None:
        canvases, reasons = decode(read, references, frame, show_progress=show_progress)
    stores, first = [], 0
    for kind in kinds:
        last = first + len(kind.references)
        good: slice | list[int] = slice(first, last)
        if any(first <= position < last for position in reasons):
            good = [position for position in range(first, last) if position not in reasons]
        names = Names(references[good] if isinstance(good, slice) else [references[i] for i in good])
        kept = None if canvases is None else _tensor(canvases[good])
        stores.append(CanvasStore(torch.from_numpy(labels[good]), names, kept, read, frame))
        first = last
    return stores, tuple((references[position], reasons[position]) for position in sorted(reasons))


def _tensor(canvases: Pixels) -> Tensor:
    """Return a tensor of the same memory.

    Torch warns of arrays that are read-only. Ours are where they are mapped files: writing to a canvas would be a
    bug of ours, and would end the process instead of changing what other processes see.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(canvases)


def _run_in_threads(
    task: Callable[[int], int], arguments: Sequence[int], advance: Callable[[int], None]
) -> None:
    pool = ThreadPoolExecutor(min(_MAX_THREADS, cores()), thread_name_prefix="decode")
    try:
        for done in as_completed([pool.submit(task, argument) for argument in arguments]):
            advance(done.result())
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for 100,000 images


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Make oversized pictures errors and keep Pillow's remarks on odd files off the screen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        yield


@contextmanager
def progress(phase: str, total: int | None, show: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, nothing elsewhere; gives the function that moves it on.

    Args:
        phase: What is going on.
        total: How many steps it has; None: nobody knows.
        show: False shows nothing on a terminal either.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not (show and console.is_terminal), transient=True) as bar:
        task = bar.add_task(phase, total=total)
        yield lambda done: bar.advance(task, done)
