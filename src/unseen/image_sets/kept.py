"""Prepared images kept on disk: the networks of a sweep, the measures of a network and later runs decode them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PIL import Image

from unseen.data.canvas_cache import CanvasCache
from unseen.data.canvases import Frame
from unseen.data.memory import DoesNotFitError
from unseen.image_sets.image_set import ImageSet
from unseen.image_sets.pictures import KeptPictures

_SHOWN = 5


def kept(images: ImageSet, cache: CanvasCache | None) -> ImageSet:
    """Return the same images, mapped from the cache, where they are put if they are not there.

    Sets that are larger than the cache are left as they are: their images are decoded whenever they are read. Where
    the cache cannot be written, they are in memory, or left as they are; a notice of the set says why.

    Args:
        images: Those to be measured: limit them before.
        cache: None: nothing is kept.

    Raises:
        ValueError: Files that are no usable images; the first ones are named.
    """
    frame = Frame(images.pictures.size, 0, 0)
    if cache is None or not cache.holds(len(images), frame):
        return images
    references = [str(number) for number in range(len(images))]

    def read(reference: str) -> Image.Image:
        pixels = images.pictures.read([int(reference)])[0]  # (3, S, S)
        return Image.fromarray(pixels.permute(1, 2, 0).numpy())

    def stamps(_: Sequence[str]) -> list[str]:
        return images.pictures.stamps()

    cache.notice = None
    try:
        canvases, reasons = cache.decode(stamps, read, references, frame, show_progress=True)
    except DoesNotFitError:  # into memory, after the disk was full
        notice = f"decoded whenever they are read: {cache.notice}"
        return replace(images, notices=(*images.notices, notice))
    if reasons:
        raise ValueError(_told(reasons))
    assert canvases is not None
    notices = images.notices if cache.notice is None else (*images.notices, cache.notice)
    return replace(images, pictures=KeptPictures(canvases, images.pictures), notices=notices)


def _told(reasons: Mapping[int, str]) -> str:
    shown = [reasons[number] for number in sorted(reasons)[:_SHOWN]]
    more = f"; and {len(reasons) - _SHOWN:,} more" if len(reasons) > _SHOWN else ""
    return "; ".join(shown) + more
