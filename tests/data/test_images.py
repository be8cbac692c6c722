"""Real small files written by Pillow, one for each kind that people have."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from unseen.data import images
from unseen.data.images import BadImageError, decode, to_rgb

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def file_of(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(content: bytes) -> np.ndarray:
    image = decode(content)
    assert image.mode == "RGB"
    return np.asarray(image)


def colours() -> Image.Image:
    """8 x 6: left half red, right half green."""
    image = Image.new("RGB", (8, 6), RED)
    image.paste(GREEN, (4, 0, 8, 6))
    return image


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA"])
def test_lossless_rgb_is_kept(kind):
    assert (pixels(file_of(colours(), kind)) == np.asarray(colours())).all()


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})])
def test_lossy_rgb_is_close(kind, options):
    image = Image.new("RGB", (16, 16), (200, 30, 90))
    assert np.abs(pixels(file_of(image, kind, **options)).astype(int) - np.asarray(image)).max() <= 6


def test_webp_lossless_and_transparent():
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((0, 0), (10, 20, 30, 255))
    found = pixels(file_of(image, "WEBP", lossless=True))
    assert tuple(found[0, 0]) == (10, 20, 30)
    assert tuple(found[3, 3]) == WHITE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_grayscale(kind):
    found = pixels(file_of(Image.new("L", (8, 8), 130), kind))
    assert found.shape == (8, 8, 3)
    assert (found == 130).all()


def test_palette():
    found = pixels(file_of(colours().quantize(4), "PNG"))
    assert tuple(found[0, 0]) == RED
    assert tuple(found[0, 7]) == GREEN


def test_palette_with_a_transparent_colour_is_shown_on_white():
    image = colours().quantize(4)
    red = image.getpixel((0, 0))
    for content in (file_of(image, "PNG", transparency=red), file_of(image, "GIF", transparency=red)):
        found = pixels(content)
        assert tuple(found[0, 0]) == WHITE
        assert tuple(found[0, 7]) == GREEN


def test_palette_with_opacities_is_blended_with_white():
    image = colours().quantize(4)
    opacity = bytearray([255] * 4)
    opacity[image.getpixel((0, 0))] = 51  # a fifth
    found = pixels(file_of(image, "PNG", transparency=bytes(opacity)))
    assert np.abs(found[0, 0].astype(int) - (255, 204, 204)).max() <= 1  # 0.2 * (255, 0, 0) + 0.8 * 255
    assert tuple(found[0, 7]) == GREEN


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_rgba_is_shown_on_white(kind):
    image = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 102))  # 0.4 black on white is 153
    found = pixels(file_of(image, kind))
    assert [tuple(int(v) for v in p) for p in found[0]] == [RED, WHITE, (153, 153, 153)]


def test_gray_with_opacity():
    image = Image.new("LA", (2, 1), (40, 255))
    image.putpixel((1, 0), (40, 0))
    found = pixels(file_of(image, "PNG"))
    assert found[0, :, 0].tolist() == [40, 255]


def test_rgb_and_gray_with_a_transparent_colour():
    assert tuple(pixels(file_of(colours(), "PNG", transparency=RED))[0, 0]) == WHITE
    assert (pixels(file_of(Image.new("L", (4, 4), 7), "PNG", transparency=7)) == 255).all()


def test_premultiplied_opacity_is_undone():
    image = Image.new("RGBa", (1, 1), (51, 0, 0, 51))  # red at a fifth
    assert to_rgb(image).getpixel((0, 0)) == (255, 204, 204)
    assert to_rgb(Image.new("LA", (1, 1), (40, 0)).convert("La")).getpixel((0, 0)) == WHITE


def test_cmyk():
    # no ink is white, full cyan and magenta is blue, full black is black
    for kind in ("TIFF", "JPEG"):
        for ink, colour in (
            ((0, 0, 0, 0), WHITE),
            ((255, 255, 0, 0), (0, 0, 255)),
            ((0, 0, 0, 255), (0, 0, 0)),
        ):
            found = pixels(file_of(Image.new("CMYK", (16, 16), ink), kind))
            assert np.abs(found[8, 8].astype(int) - colour).max() <= 3


def test_one_bit():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    for kind in ("PNG", "TIFF", "BMP", "PPM"):
        assert pixels(file_of(image, kind))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_gray_is_scaled_not_clipped(kind):
    values = np.array([[0, 257, 12850, 32768, 65535]], dtype=np.uint16)
    found = pixels(file_of(Image.fromarray(values), kind))
    assert found[0, :, 0].tolist() == [0, 1, 50, 128, 255]  # v / 257, rounded
    assert (found[..., 0] == found[..., 2]).all()


def test_sixteen_bit_big_endian_tiff():
    values = np.array([[0, 12850, 65535]], dtype=">u2")
    image = Image.frombytes("I;16B", (3, 1), values.tobytes())
    assert pixels(file_of(image, "TIFF"))[0, :, 0].tolist() == [0, 50, 255]


def png_of_16_bits(*values: int) -> bytes:
    """1 x 1 with 2, 3 or 4 channels, by hand: Pillow cannot write one."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + struct.pack(f">{len(values)}H", *values)
    kind = {2: 4, 3: 2, 4: 6}[len(values)]
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", 1, 1, 16, kind, 0, 0, 0),
        b"IDAT": zlib.compress(row),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts.items())


def test_sixteen_bit_rgb_png():
    assert tuple(int(v) for v in pixels(png_of_16_bits(65535, 32896, 0))[0, 0]) == (255, 128, 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("brightest", "is_used"), [(0, True), (255, False), (4095, False), (4096, True)])
def test_sixteen_bit_values_that_do_not_say_what_is_white_are_refused(kind, brightest, is_used):
    content = file_of(Image.fromarray(np.array([[0, brightest // 2, brightest]], dtype=np.uint16)), kind)
    if is_used:
        assert pixels(content).max() == round(brightest / 257)
        return
    with pytest.raises(BadImageError, match=f"16-bit values of at most {brightest} of 65535"):
        decode(content)


def test_the_same_of_32_bit_integers():
    with pytest.raises(BadImageError, match="at most 255 of 65535"):
        decode(file_of(Image.fromarray(np.array([[0, 255]], dtype=np.int32)), "TIFF"))


@pytest.mark.parametrize(
    ("values", "is_used"),
    [((255, 200, 9), False), ((4095, 0, 0), False), ((0, 0, 4096), True),
     ((255, 200, 9, 65535), False), ((5000, 0, 0, 65535), True), ((255, 65535), False), ((9000, 65535), True)],
)  # fmt: skip
def test_the_same_of_sixteen_bit_colour(values, is_used):
    """Whose lower 8 bits Pillow drops: 8-bit values in them would be black without a word."""
    if is_used:
        decode(png_of_16_bits(*values))
        return
    with pytest.raises(BadImageError, match=r"16-bit values of at most \d+ of 65535 do not define white"):
        decode(png_of_16_bits(*values))


def test_floating_point_gray():
    unit = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert pixels(file_of(unit, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    bytes_ = Image.fromarray(np.array([[0.0, 100.4, 255.0]], dtype=np.float32))
    assert pixels(file_of(bytes_, "TIFF"))[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([[-5.0, 3.0]], dtype=np.float32), "values from -5 to 3"),
        (np.array([[0.0, 70000.0]], dtype=np.float32), "values from 0 to 70000"),
        (np.array([[0.0, np.nan]], dtype=np.float32), "not finite"),
        (np.array([[0, 70000]], dtype=np.int32), "values from 0 to 70000"),
        (np.array([[-1, 7]], dtype=np.int32), "values from -1 to 7"),
    ],
)
def test_values_without_an_obvious_brightness_are_refused(values, reason):
    with pytest.raises(BadImageError, match=reason):
        decode(file_of(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    content = file_of(colours().resize((64, 48)), kind, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
    found = pixels(content)
    assert found.shape == ((48, 64, 3) if orientation <= 4 else (64, 48, 3))
    assert (found == expected).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_break_the_picture():
    content = file_of(colours(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\0")
    assert pixels(content).shape == (6, 8, 3)


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (5, 5), colour) for colour in (RED, GREEN)]
    for kind in ("GIF", "TIFF", "PNG"):
        content = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
        assert tuple(pixels(content)[2, 2]) == RED


@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_other_colour_spaces(mode):
    image = Image.new("RGB", (4, 4), WHITE)
    found = (
        to_rgb(image.convert("YCbCr"))
        if mode == "YCbCr"
        else to_rgb(Image.new("LAB", (4, 4), (255, 128, 128)))
    )
    assert found.mode == "RGB"
    assert min(found.getpixel((1, 1))) >= 250


# ---------------------------------------------------------------- what cannot be used
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"\0" * 500, "not an image"),
        (b"<html>404</html>", "not an image"),
        (file_of(colours(), "PNG")[:40], "header is damaged"),
        (file_of(Image.effect_noise((64, 64), 90), "JPEG")[:700], "truncated or damaged"),
        (file_of(colours(), "JPEG")[:20], "header|not an image"),
        (file_of(colours(), "BMP")[:60], "truncated or damaged"),
        (file_of(Image.effect_noise((64, 64), 90), "GIF")[:1200], "truncated or damaged"),
        (file_of(colours(), "WEBP")[:40], "not an image|header|damaged"),
        (file_of(Image.effect_noise((64, 64), 90), "TIFF")[:700], "truncated or damaged|header|not an image"),
    ],
    ids=["empty", "zeros", "html", "png header", "jpeg", "jpeg header", "bmp", "gif", "webp header", "tiff"],
)
def test_unusable_files_have_a_reason(content, reason):
    with pytest.raises(BadImageError, match=reason):
        decode(content)


def test_a_damaged_png_is_not_half_a_picture():
    content = bytearray(file_of(Image.effect_noise((64, 64), 90), "PNG"))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(BadImageError):
        decode(bytes(content))


def test_huge_pictures_are_refused_before_they_are_decoded(monkeypatch):
    content = file_of(colours(), "PNG")
    monkeypatch.setattr(images, "MAX_PIXELS", 47)
    with pytest.raises(BadImageError, match="8 x 6 is more than 47 pixels"):
        decode(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow's own error beyond twice its limit
    with pytest.raises(BadImageError, match="more than 47 pixels"):
        decode(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # Pillow's own warning beyond its limit
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with pytest.raises(BadImageError, match="more than 47 pixels"):
            decode(content)
