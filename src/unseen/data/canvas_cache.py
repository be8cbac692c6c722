"""Canvases kept on disk: jobs of a sweep, processes of a job and later runs decode them once and share their memory.

An entry is one .npy file (N, 3, S+2p, S+2p) uint8 with all images of a run, mapped read-only. Its name is a hash of
all that makes its pixels, so an entry is never stale: changed images have another name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
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
)
from unseen.data.memory import check_memory
from unseen.wording import count, one_line

_GB = 2**30
_SPARE_BYTES = _GB  # of the disk are left to checkpoints and logs
_CODECS = ("libjpeg_turbo", "jpg", "jpg_2000", "zlib", "libtiff", "webp")
_log = logging.getLogger(__name__)

Stamps = Callable[[Sequence[str]], Sequence[str] | None]
"""Gives for each reference what changes with the content of its file, or None: `ImageSource.stamps`."""
Fill = Callable[[Pixels], tuple[dict[int, str], bool]]
"""Decodes into canvases (N, 3, S+2p, S+2p); gives the bad files by position, and whether to keep the canvases."""


@dataclass
class CanvasCache:
    """A folder of decoded images; where it cannot be used they are decoded into memory, and `notice` is the reason.

    Attributes:
        folder: Made when the first entry is written.
        limit: Bytes that all entries may have together; a new one makes room by deleting those used longest ago.
            (A process that has mapped a deleted file still has it, except on a network file system.)
        processes: How many processes of this machine decode the same images, each of which needs memory of its own
            where they cannot be kept.
        setting: What sets the limit, for messages.
        notice: Why the images are in memory after all; None: they are not, or were not meant to be kept.
    """

    folder: Path
    limit: float
    processes: int = 1
    setting: str = "data.cache_gb"
    notice: str | None = field(default=None, init=False)

    def holds(self, images: int, frame: Frame) -> bool:
        """Return whether so many canvases may be kept."""
        return images * frame.bytes <= self.limit

    def decode(
        self, stamps: Stamps, read: Read, references: Sequence[str], frame: Frame, *, show_progress: bool
    ) -> Decoded:
        """Return canvases that are mapped from disk, or decoded into memory where they cannot be kept.

        `stamps` gives texts that change with the images; the other arguments are those of `decode_into_memory`.

        Raises:
            DoesNotFitError: The images cannot be kept and do not fit into memory.
        """
        before, remedy = stamps(references), ""
        if before is not None:

            def fill(canvases: Pixels) -> tuple[dict[int, str], bool]:
                put = canvases.__setitem__
                reasons = decode_each(read, references, frame, put, show_progress=show_progress)
                return reasons, not reasons and stamps(references) == before

            entry = self.folder / f"canvases-{_key(references, before, frame)}.npy"
            try:
                return self._kept(entry, (len(references), *frame.shape), fill, show_progress)
            except OSError as error:
                self.notice = f"decoded images are in memory, not in {self.folder}: {one_line(error)}"
                remedy = f"; they cannot be read from {self.folder} instead: {one_line(error)}"
                _log.warning(self.notice)
        check_memory(len(references), frame, remedy, processes=self.processes)
        return decode_into_memory(read, references, frame, show_progress=show_progress)

    def _kept(self, entry: Path, shape: tuple[int, ...], fill: Fill, show_progress: bool) -> Decoded:
        """Return the entry, which is made if it is not there; of several processes one makes it."""
        canvases = _mapped(entry, shape)
        if canvases is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(entry, show_progress):
                canvases = _mapped(entry, shape)  # another process may have made it meanwhile
                if canvases is None:
                    return self._make(entry, shape, fill)
        with suppress(OSError):  # another user's entry
            os.utime(entry)  # it was used just now
        _log.info("mapped %s from %s", count(shape[0], "decoded image"), entry)
        return Decoded(canvases, {})

    def _make(self, entry: Path, shape: tuple[int, ...], fill: Fill) -> Decoded:
        """Decode into a file beside the entry and move it into place."""
        self._make_room(math.prod(shape))
        part = entry.with_suffix(".part")
        try:
            canvases = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
            if hasattr(os, "posix_fallocate"):  # else a disk that fills up later would kill the process
                with part.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, part.stat().st_size)
            reasons, keep = fill(canvases)
            if not keep:
                _log.info("images are not kept for later runs: some are bad, or changed meanwhile")
                return Decoded(np.asarray(canvases), reasons)  # mapped: the file lives on without a name
            canvases.flush()  # else a power cut could leave the name without the pixels
            part.replace(entry)
        finally:
            part.unlink(missing_ok=True)
        _log.info("kept for later runs in %s", entry)
        return Decoded(np.asarray(np.lib.format.open_memmap(entry, mode="r")), {})

    def _make_room(self, needed: int) -> None:
        """Delete what dead processes left behind, and the entries used longest ago until `needed` bytes fit.

        Raises:
            OSError: They do not fit.
        """
        size = f"they take {needed / _GB:.2g} GB"
        if needed > self.limit:
            raise OSError(f"{size}, and {self.setting}={self.limit / _GB:g}")
        for part in self.folder.glob("canvases-*.part"):
            with suppress(Timeout), FileLock(part.with_suffix(".lock")).acquire(timeout=0):
                part.unlink(missing_ok=True)
        entries = []
        for path in self.folder.glob("canvases-*.npy"):
            with suppress(FileNotFoundError):  # another process has deleted it
                status = path.stat()
                entries.append((status.st_mtime_ns, status.st_size, path))
        used, free = sum(entry[1] for entry in entries), shutil.disk_usage(self.folder).free
        if free + used < needed + _SPARE_BYTES:  # then nothing is deleted in vain
            raise OSError(
                f"{size} of the disk, of which {free / _GB:.2g} GB are free and {_SPARE_BYTES / _GB:g} GB are "
                "left to other files"
            )
        for _, gained, path in sorted(entries):
            if used + needed <= self.limit and free >= needed + _SPARE_BYTES:
                return
            path.unlink(missing_ok=True)
            used, free = used - gained, free + gained


def _key(references: Sequence[str], stamps: Sequence[str], frame: Frame) -> str:
    """Return a hash of all that makes the pixels."""
    versions = [PIXELS_VERSION, PIL.__version__, *(features.version(name) for name in _CODECS)]
    sizes = [frame.size, frame.pad, frame.margin]
    content = json.dumps([versions, sizes, list(references), list(stamps)])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _mapped(entry: Path, shape: tuple[int, ...]) -> Pixels | None:
    """Return the canvases of an entry, read-only; None: there are none, or the file is damaged."""
    try:
        canvases = np.lib.format.open_memmap(entry, mode="r")
        if canvases.shape == shape and canvases.dtype == np.uint8:
            return np.asarray(canvases)
    except FileNotFoundError:
        return None
    except ValueError:
        pass
    _log.warning("%s is damaged; its images are decoded again", entry)
    return None


@contextmanager
def _locked(entry: Path, show_progress: bool) -> Iterator[None]:
    """Wait until no other process makes the same entry; the lock of a process that dies is free."""
    lock = FileLock(entry.with_suffix(".lock"))
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
