"""Any image file as 8-bit RGB, or a reason why not."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from unseen.wording import one_line

MAX_PIXELS = 89_478_485  # Pillow's own limit: a picture of 256 MB as 24-bit RGB
MAX_BYTES = 2**29  # of a file: so many pixels as 16-bit RGB, not compressed
_WHITE = (255, 255, 255, 255)
_STEP_16_TO_8 = 257  # 65535 / 255
# A 16-bit picture that is no brighter was probably written by a camera or program of 8, 10 or 12 bits, a depth that the
# file does not hold: on the scale of 65535 it is black.
_LEAST_WHITE = 4096
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


class BadImageError(ValueError):
    """A file that is no usable picture; the message is the reason in a few words."""


def decode(content: bytes) -> Image.Image:
    """Return the picture as 8-bit RGB, upright, on white where it is transparent; an animation's first frame.

    Raises:
        BadImageError: Empty, truncated, no image, larger than `MAX_PIXELS`, or values that have no obvious
            brightness.
    """
    if not content:
        raise BadImageError("empty file")
    try:
        image = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:
        raise BadImageError("not an image, or its header is damaged") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # Pillow's readers raise many kinds on broken headers
        raise BadImageError(f"broken header: {one_line(error)[:120]}") from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise BadImageError(f"{image.width} x {image.height} is more than {MAX_PIXELS:,} pixels")
        colour_of_16_bits = any(";16" in str(tile) for tile in image.tile) and image.mode not in _SIXTEEN_BIT
        try:
            image.load()
        except Exception as error:
            raise BadImageError(f"truncated or damaged: {one_line(error)[:120]}") from error
        if colour_of_16_bits and image.mode in ("RGB", "RGBA", "LA"):
            _check_white(256 * (_brightest(image) + 1) - 1)  # Pillow has kept the upper 8 bits of each value
        return to_rgb(_upright(image))


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded picture of any mode as 8-bit RGB.

    16-bit gray is scaled by 1/257, not clipped; transparent parts are shown on white.

    Raises:
        BadImageError: 16-bit, 32-bit or floating-point values whose range does not define brightness.
    """
    if image.mode in _SIXTEEN_BIT or image.mode in ("I", "F"):
        return Image.fromarray(_gray_bytes(image)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        # La and RGBa are multiplied by opacity; Pillow undoes that only on the way to LA and RGBA
        straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
        rgba = (image.convert(straight) if straight else image).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, _WHITE), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _gray_bytes(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return (H, W) gray values 0..255 of a picture with more than 8 bits."""
    values = np.asarray(image).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(values).all():
        raise BadImageError("values that are not finite")
    if image.mode == "F" and low >= 0 and high <= 255:
        scaled = values * 255 if high <= 1 else values
    elif image.mode != "F" and low >= 0 and high <= 65535:
        if high > 0:
            _check_white(int(high))
        scaled = values / _STEP_16_TO_8
    else:
        raise BadImageError(f"values from {low:g} to {high:g} in mode {image.mode}")
    return np.rint(scaled).astype(np.uint8)


def _check_white(brightest: int) -> None:
    """Refuse 16-bit values that use only the lowest sixteenth of their scale."""
    if brightest < _LEAST_WHITE:
        raise BadImageError(
            f"16-bit values of at most {brightest} of 65535 do not define white; scale them, or save 8 bits"
        )


def _brightest(image: Image.Image) -> int:
    """Return the largest value of any channel but opacity."""
    channels = image.split()[: 3 if "RGB" in image.mode else 1]
    return max(int(np.asarray(channel).max()) for channel in channels)


def _upright(image: Image.Image) -> Image.Image:
    """Return the picture turned by its EXIF orientation; broken EXIF data are ignored."""
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image  # the original, not a copy
        turned = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, OverflowError, struct.error):
        return image
    return turned if turned is not None else image
