"""Canvases kept on disk: jobs of a sweep, processes of a job and later runs decode them once and share their memory.

An entry is one .npy file (N, 3, S+2p, S+2p) uint8 with all images of a run, mapped read-only. Its name is a hash of
all that makes its pixels, so an entry is never out of date: changed images have another name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock, Timeout
from PIL import features

from unseen.data.canvases import (
    PIXELS_VERSION,
    Decoded,
    Frame,
    Pixels,
    Read,
    decode_each,
    decode_into_memory,
    progress,
    quiet_pillow,
    to_canvas,
)
from unseen.data.mapped_arrays import delete_unused, file_size, hold, is_whole, map_array, row_writer
from unseen.data.memory import check_memory
from unseen.wording import count

_PREFIX, _SUFFIX = "canvases-", ".npy"
_GB = 2**30
_SPARE_BYTES = _GB  # of the disk are left to checkpoints and logs
_COMPARED = 8  # images of an entry that are decoded again before it is believed
_CODECS = ("libjpeg_turbo", "jpg", "jpg_2000", "zlib", "libtiff", "webp")
_log = logging.getLogger(__name__)

Stamps = Callable[[Sequence[str]], Sequence[str] | None]
"""Gives for each reference what changes with the content of its file, or None: `ImageSource.stamps`."""


@dataclass
class CanvasCache:
    """A folder of decoded images.

    Where anything is wrong with the folder, images are decoded into memory, and `notice` says why.

    Attributes:
        folder: Made when the first entry is written.
        limit: Bytes that all entries may have together. A new entry makes room by deleting those that were used
            longest ago, but none that a running process has mapped.
        processes: How many processes of this machine decode the same images; each needs memory of its own where they
            cannot be kept.
        notice: Why the images are in memory after all; None: they are not, or were not meant to be kept.
    """

    folder: Path
    limit: float
    processes: int = 1
    notice: str | None = field(default=None, init=False)

    def holds(self, images: int, frame: Frame) -> bool:
        """Return whether so many canvases may be kept."""
        return images * frame.bytes <= self.limit

    def decode(
        self, stamps: Stamps, read: Read, references: Sequence[str], frame: Frame, *, show_progress: bool
    ) -> Decoded:
        """Return canvases that are mapped from disk, or decoded into memory where they cannot be kept.

        Args:
            stamps: Tell changed images from unchanged ones.
            read: Gives the pictures.
            references: Which.
            frame: The size of the canvases.
            show_progress: False keeps even a terminal quiet.

        Raises:
            ValueError: The images cannot be kept and do not fit into memory.
        """
        began = time.monotonic()
        found = stamps(references)
        remedy = ""
        if found is not None:
            images = _Images(stamps, read, references, frame, tuple(found), show_progress)
            try:
                return self._keep(images, began)
            except (OSError, NotImplementedError) as error:  # the second: a file system without locks
                reason = " ".join(str(error).split())
                self.notice = f"decoded images are in memory, not in {self.folder}: {reason}"
                remedy = f"; they cannot be read from {self.folder} instead: {reason}"
                _log.warning(self.notice)
        check_memory(len(references), frame, remedy, processes=self.processes)
        return decode_into_memory(read, references, frame, show_progress=show_progress)

    def _keep(self, images: _Images, began: float) -> Decoded:
        """Return the entry, which is made if it is not there."""
        entry = self.folder / f"{_PREFIX}{images.key}{_SUFFIX}"
        canvases = _open(entry, images)
        if canvases is None:
            if (needed := file_size(images.shape)) > self.limit:
                raise OSError(f"they take {needed / _GB:.2g} GB, and data.cache_gb={self.limit / _GB:g}")
            self.folder.mkdir(parents=True, exist_ok=True)
            with _turn(entry.with_suffix(".lock"), images.show_progress):
                canvases = _open(entry, images)  # another process may have made it meanwhile
                if canvases is None:
                    return self._make(entry, images)
        with suppress(OSError):  # another user's entry
            os.utime(entry)  # it was used just now
        number, seconds = count(len(images.references), "decoded image"), time.monotonic() - began
        _log.info("mapped %s in %.2f s from %s", number, seconds, entry)
        return Decoded(canvases, {})

    def _make(self, entry: Path, images: _Images) -> Decoded:
        """Decode into a file beside the entry and move it into place; keep nothing that has bad images."""
        with FileLock(self.folder / ".lock"):  # one process at a time counts and deletes
            self._make_room(file_size(images.shape))
            descriptor, name = tempfile.mkstemp(prefix=f".{entry.stem}.", suffix=".part", dir=self.folder)
            file = os.fdopen(descriptor, "w+b", buffering=0)
            hold(file)
        part = Path(name)
        try:
            with file:
                reasons = images.decode(row_writer(file, images.shape))
                canvases = map_array(file, images.shape)
                if reasons or not images.unchanged():
                    why = "bad" if reasons else "changing"
                    _log.info("images are not kept for later runs: there are %s files among them", why)
                    return Decoded(canvases, reasons)  # a file without a name lives until its last user ends
                os.fsync(file.fileno())  # else a power cut could leave the name without the pixels
                os.fchmod(file.fileno(), 0o644)
            part.replace(entry)
            _log.info("kept for later runs in %s", entry)
            return Decoded(canvases, {})
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, needed: int) -> None:
        """Delete what dead processes left behind, and the entries used longest ago until `needed` bytes fit.

        Raises:
            OSError: They do not fit.
        """
        for part in self.folder.glob(f".{_PREFIX}*.part"):
            delete_unused(part)
        sizes: dict[Path, os.stat_result] = {}
        for path in [*self.folder.glob(f"{_PREFIX}*{_SUFFIX}"), *self.folder.glob(f".{_PREFIX}*.part")]:
            with suppress(FileNotFoundError):  # moved into place meanwhile
                sizes[path] = path.stat()
        used = sum(status.st_size for status in sizes.values())
        oldest_first = sorted(sizes, key=lambda path: sizes[path].st_mtime_ns)
        free = shutil.disk_usage(self.folder).free
        if free + used < needed + _SPARE_BYTES:  # then nothing is deleted in vain
            raise OSError(
                f"they take {needed / _GB:.2g} GB of the disk, of which {free / _GB:.2g} GB are free and "
                f"{_SPARE_BYTES / _GB:g} GB are left to other files"
            )
        for path in oldest_first:
            if used + needed <= self.limit and free >= needed + _SPARE_BYTES:
                return
            if delete_unused(path):
                path.with_suffix(".lock").unlink(missing_ok=True)
                used -= sizes[path].st_size
                free = shutil.disk_usage(self.folder).free
        if used + needed > self.limit or free < needed + _SPARE_BYTES:
            raise OSError(
                f"the room that data.cache_gb={self.limit / _GB:g} gives is taken by what other runs use"
            )


@dataclass(frozen=True)
class _Images:
    """All that makes the pixels of an entry."""

    stamps_of: Stamps
    read: Read
    references: Sequence[str]
    frame: Frame
    stamps: tuple[str, ...]
    show_progress: bool

    @property
    def key(self) -> str:
        """Name of the entry."""
        versions = [PIXELS_VERSION, PIL.__version__, *(features.version(name) for name in _CODECS)]
        frame = [self.frame.size, self.frame.pad, self.frame.margin]
        content = json.dumps([versions, frame, list(self.references), self.stamps])
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 3, S+2p, S+2p)."""
        return (len(self.references), *self.frame.shape)

    def decode(self, put: Callable[[int, Pixels], object]) -> dict[int, str]:
        """Hand on every canvas; return what is wrong with bad files."""
        return decode_each(self.read, self.references, self.frame, put, show_progress=self.show_progress)

    def unchanged(self) -> bool:
        """Return whether the files are still those that the key was made of."""
        found = self.stamps_of(self.references)
        return found is not None and tuple(found) == self.stamps

    def agree_with(self, canvases: Pixels) -> bool:
        """Return whether a few images, decoded now, are bit for bit what the entry has for them."""
        last = len(self.references) - 1
        try:
            with quiet_pillow():
                return all(
                    np.array_equal(canvases[place], to_canvas(self.read(self.references[place]), self.frame))
                    for place in {last * step // (_COMPARED - 1) for step in range(_COMPARED)}
                )
        except Exception:  # a file that cannot be read any more: decoding all will say which and why
            return False


@contextmanager
def _turn(path: Path, show_progress: bool) -> Iterator[None]:
    """Wait until no other process makes the same entry; a process that dies gives its turn away."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        phase = "waiting for another process that decodes the same images"
        _log.info(phase)
        with progress(phase, None, show_progress):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _open(entry: Path, images: _Images) -> Pixels | None:
    """Return the entry's canvases, or None if there are none that can be believed."""
    try:
        file = entry.open("rb")
    except FileNotFoundError:
        return None
    with file:
        hold(file)
        canvases = map_array(file, images.shape) if is_whole(file, images.shape) else None
    if canvases is None or not images.agree_with(canvases):
        _log.warning("%s is damaged, or made by other code; its images are decoded again", entry)
        return None
    return canvases
