"""Download a file so that an interruption costs nothing and a half file is never taken for a whole one."""

from __future__ import annotations

import http.client
import logging
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import FileLock

from unseen.data.catalog import DataUnavailableError

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30
_PARTIAL, _RANGE_REFUSED = 206, 416
_log = logging.getLogger(__name__)

Advance = Callable[[int, int | None], None]
"""Told how many bytes are there, and how many there will be if that is known."""


class _CutError(OSError):
    """The connection ended before the file did."""


def download(
    url: str,
    target: Path,
    *,
    verify: Callable[[Path], None],
    advice: str,
    attempts: int = 5,
    pause: float = 1.0,
) -> None:
    """Leave the verified file at `target`; go on where an earlier attempt ended.

    Bytes are collected in `target` + ".part" (kept when the connection is lost, removed when the content is
    wrong) and renamed at the end. Processes that want the same file wait for the first one.

    Args:
        url: Where the file is.
        target: Where it will be; its folder is made.
        verify: Raises ValueError if the whole file is not what it should be.
        advice: What else the user can do, as the end of a sentence.
        attempts: How often a cut connection is taken up again.
        pause: Seconds before the second attempt, doubled each time.

    Raises:
        DataUnavailableError: One sentence on what went wrong and what to do.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if target.exists():  # another process was faster
                return
            part = target.with_name(target.name + ".part")
            _remove_foreign(part)
            _log.info("downloading %s to %s", url, target)
            _fetch_patiently(url, part, attempts, pause, advice)
            try:
                verify(part)
            except ValueError as error:
                part.unlink()
                raise DataUnavailableError(
                    f"what was downloaded from {url} is not what was expected: {error}; try again, {advice}"
                ) from error
            part.replace(target)
    except DataUnavailableError:
        raise
    except OSError as error:
        raise DataUnavailableError(f"{target} cannot be written: {error}; {advice}") from error


def _fetch_patiently(url: str, part: Path, attempts: int, pause: float, advice: str) -> None:
    at_first = _size(part)
    for attempt in range(1, attempts + 1):
        try:
            with _progress(f"downloading {url.rsplit('/', 1)[-1]}") as advance:
                _fetch(url, part, advance)
            return
        except (urllib.error.URLError, http.client.HTTPException, _CutError) as error:
            reason = getattr(error, "reason", None) or error
            # a server that never sent a byte will not after a second either
            if attempt == attempts or _size(part) == at_first:
                kept = (
                    f"; {_size(part):,} bytes are kept and will not be fetched again" if _size(part) else ""
                )
                raise DataUnavailableError(
                    f"{url} could not be downloaded ({reason}){kept}; connect to the network and run this "
                    f"again, {advice}"
                ) from error
            _log.info("the download was interrupted (%s), going on", reason)
            time.sleep(pause * 2 ** (attempt - 1))


def _remove_foreign(part: Path) -> None:
    """Delete what an earlier download did not leave: through a link, another file would be written to.

    Raises:
        OSError: It is a folder.
    """
    try:
        status = part.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        part.unlink()


def _open_part(part: Path, *, append: bool) -> IO[bytes]:
    """Open the half file for writing, never through a link that appeared meanwhile."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC)
    return os.fdopen(os.open(part, flags, 0o666), "ab" if append else "wb")


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _stated_length(response: http.client.HTTPResponse) -> int | None:
    """Return how many bytes the server says are to come, None if it does not.

    Raises:
        http.client.HTTPException: It says something that is no number.
    """
    stated = response.headers.get("Content-Length")
    if stated is not None and not (stated.isascii() and stated.isdigit()):
        raise http.client.HTTPException(
            f"the server states a Content-Length of {stated!r}, which is no number"
        )
    return None if stated is None else int(stated)


def _fetch(url: str, part: Path, advance: Advance) -> None:
    """Add to `part` what is missing."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "unseen", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_REFUSED or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # all of it is there already
        part.unlink()  # longer than the file: something else
        _fetch(url, part, advance)
        return
    with response:
        if have and not (
            response.status == _PARTIAL
            and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        ):
            have = 0  # the server cannot go on in the middle: from the start
        length = _stated_length(response)
        total = None if length is None else have + length
        with _open_part(part, append=have > 0) as file:
            while chunk := _read(response):
                file.write(chunk)
                have += len(chunk)
                advance(have, total)
    if total is not None and have < total:
        raise _CutError(f"the connection ended after {have:,} of {total:,} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _CutError(f"the connection ended early: {error}") from error


@contextmanager
def _progress(phase: str) -> Iterator[Advance]:
    """Show a bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn(phase), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(phase, total=None)
        yield lambda have, total: bar.update(task, completed=have, total=total)
