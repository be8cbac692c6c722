"""Prepared images kept on disk: the networks of a sweep, the measures of a network and later runs decode them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PIL import Image

from unseen.data.canvas_cache import CanvasCache
from unseen.data.canvases import Decoded, Frame, check_each
from unseen.data.memory import DoesNotFitError
from unseen.image_sets.image_set import ImageSet
from unseen.image_sets.pictures import KeptPictures
from unseen.wording import count

_SHOWN = 5


def kept(
    images: ImageSet, cache: CanvasCache | None, *, skip_bad: bool = False, show_progress: bool = True
) -> ImageSet:
    """Return the same images, mapped from the cache, where they are put if they are not there.

    Sets that are larger than the cache are left as they are: their images are decoded whenever they are read. Where
    the cache cannot be written, they are in memory, or left as they are; a notice of the set says why.

    Args:
        images: Those to be measured: limit them before.
        cache: None: nothing is kept.
        skip_bad: Leave out files that are no usable images, with a notice; such sets are read once before, in any
            case. Otherwise the first ones are named in an error.
        show_progress: False keeps even a terminal quiet.

    Raises:
        ValueError: Files that are no usable images.
    """
    frame = Frame(images.pictures.size, 0, 0)
    references = [str(number) for number in range(len(images))]

    def read(reference: str) -> Image.Image:
        pixels = images.pictures.read([int(reference)])[0]  # (3, S, S)
        return Image.fromarray(pixels.permute(1, 2, 0).numpy())

    def stamps(_: Sequence[str]) -> list[str]:
        return images.pictures.stamps()

    decoded, notices = Decoded(None, {}), list(images.notices)
    if cache is not None and cache.holds(len(images), frame):
        cache.notice = None
        try:
            decoded = cache.decode(stamps, read, references, frame, show_progress=show_progress)
        except DoesNotFitError:  # into memory, after the disk was full
            notices.append(f"decoded whenever they are read: {cache.notice}")
        else:
            notices += [] if cache.notice is None else [cache.notice]
    if decoded.canvases is None and skip_bad:
        decoded = check_each(read, references, frame, show_progress=show_progress)
    if decoded.reasons and not skip_bad:
        raise ValueError(_told(decoded.reasons))
    found = replace(images, notices=tuple(notices))
    if decoded.canvases is not None:
        found = replace(found, pictures=KeptPictures(decoded.canvases, images.pictures))
    if not decoded.reasons:
        return found
    good = [number for number in range(len(images)) if number not in decoded.reasons]
    if not good:
        raise ValueError(f"no image of {images.name} is left: {_told(decoded.reasons)}")
    notices.append(f"{count(len(decoded.reasons), 'file')} left out: {_told(decoded.reasons)}")
    return replace(found.only(good), notices=tuple(notices))


def _told(reasons: Mapping[int, str]) -> str:
    shown = [reasons[number] for number in sorted(reasons)[:_SHOWN]]
    more = f"; and {len(reasons) - _SHOWN:,} more" if len(reasons) > _SHOWN else ""
    return "; ".join(shown) + more
