"""What a listing of images leaves out, and why: no file goes without being counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from unseen.wording import count, listing

_SUFFIXES = """.jpg .jpeg .jpe .jfif .png .apng .bmp .dib .gif .tif .tiff .webp .avif
    .ppm .pgm .pbm .pnm .tga .jp2 .j2k"""
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
_UNREAD = """.heic .heif .hif .jxl .jxr .dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f
    .3fr .raw .psd .xcf .svg .eps .exr .hdr .dcm .nii .fits .mrc .czi .svs .ndpi .jpf .jpx .j2c .pcx .sgi .ras .xbm
    .xpm .ico .icns .bpg .qoi .dds .fli .mpo"""
_NO_SUFFIX = "without suffix"
_REASONS_SHOWN, _LONGEST_SUFFIX = 8, 10
HIDDEN, SYSTEM = "hidden", "of the system"
LIKE_IMAGES = frozenset([*_UNREAD.split(), _NO_SUFFIX])
"""Reasons of files that are probably pictures, though of a kind that is not read."""

# What operating systems, network storage and notebooks put beside people's files; names that begin with a dot are
# hidden anyway.
_SYSTEM = """thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini picasa.ini __macosx $recycle.bin recycler recycled
    lost+found @eadir @tmp @__thumb @recycle @recently-snapshot @sharebin #recycle #snapshot __pycache__"""
_SYSTEM_NAMES = {
    *_SYSTEM.split(),
    "system volume information",
    "network trash folder",
    "temporary items",
    "icon\r",
}


class LeftOut(NamedTuple):
    """Why a file or folder is left out, and in which class folder it lies ("": in none)."""

    reason: str
    class_name: str = ""


LeftOutCounts = Mapping[LeftOut, int]
"""How many files and folders are left out; a folder that is not looked into counts once."""


def reason_for_name(name: str) -> str | None:
    """Return why a file or folder of this name is not even looked at, None if it is.

    >>> reason_for_name(".cache"), reason_for_name("Thumbs.db"), reason_for_name("cat")
    ('hidden', 'of the system', None)
    """
    if name.lower() in _SYSTEM_NAMES:
        return SYSTEM
    return HIDDEN if name.startswith(".") else None


def reason_for_suffix(path: str) -> str | None:
    """Return why a file is no image by its name, None if it is one.

    >>> reason_for_suffix("cat/1.HEIC"), reason_for_suffix("cat/1"), reason_for_suffix("cat/1.JPG")
    ('.heic', 'without suffix', None)
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return None
    return "of other suffixes" if len(suffix) > _LONGEST_SUFFIX else suffix or _NO_SUFFIX


def within(class_name: str, reasons: Mapping[str, int]) -> Counter[LeftOut]:
    """Return the reasons as those of one class folder ("": of none)."""
    return Counter({LeftOut(reason, class_name): number for reason, number in reasons.items()})


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
